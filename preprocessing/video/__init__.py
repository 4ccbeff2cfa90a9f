"""Decoding: videos and image folders as pictures at 25 frames/s."""
