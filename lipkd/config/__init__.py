"""The configuration of a trial: its sections, the whole, and values that change between epochs."""
