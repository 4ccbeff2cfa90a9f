"""How the trials of a sweep stand, as tables."""
