"""The one exception that users are meant to see: what is wrong, where, and what is allowed."""


class LipkdError(ValueError):
    """Wrong input or a missing thing; the command line prints it as one sentence and exits with 2."""
