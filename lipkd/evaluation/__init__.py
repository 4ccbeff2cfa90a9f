"""Scoring clips with trained peers, and comparing methods."""
