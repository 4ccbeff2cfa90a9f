"""Trials set against each other: matched pairs, seed groups, importance, trade-offs, verdicts."""
