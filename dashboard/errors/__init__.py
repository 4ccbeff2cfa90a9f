"""Hypotheses against references: word edits, confusions, hard clips, word times."""
