"""Figures: records in, Altair out."""
