"""Recordings as they lie on disk: layouts, tables, transcripts, alignment files."""
