"""Trials under Ray Tune: the engine, the trainable, the search, the callback."""
