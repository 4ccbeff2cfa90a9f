"""Measurements of training and reading on this machine, for `lipkd bench`."""
