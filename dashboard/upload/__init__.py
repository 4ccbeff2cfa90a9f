"""A reader's own video, read by a deployed model in a process of its own."""
