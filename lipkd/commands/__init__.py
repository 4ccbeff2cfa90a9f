"""The commands of `lipkd`, a module per subject: their arguments, and what they call in the rooms.

Rooms are imported inside the functions that need them, so that `lipkd --help` answers at once and a
missing extra stops only the commands that need it.
"""
