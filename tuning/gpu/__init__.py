"""GPU memory: the card, what trials take of it, and their shares."""
