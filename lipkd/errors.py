"""The one exception that users are meant to see: what is wrong, where, and what is allowed."""

import difflib
from collections.abc import Iterable


class LipkdError(ValueError):
    """Wrong input or a missing thing; the command line prints it as one sentence and exits with 2."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` for the name that is meant by a wrong one, or nothing where none comes near."""
    names = list(known)
    close = names if len(names) == 1 else difflib.get_close_matches(given, names, 1, 0.7)
    return f" (did you mean {close[0]}?)" if close else ""
