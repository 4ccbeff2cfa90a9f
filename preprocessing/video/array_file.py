"""Clips in `.npy` files: nothing is allocated before the header has been held against the size of the file."""

import math
import tokenize
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocessing.rejects import BadClip

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# What NumPy's parser of headers is known to raise for damaged ones.
DAMAGED = (OSError, ValueError, EOFError, OverflowError, SyntaxError, TypeError, RecursionError, tokenize.TokenError)


def map_clip(path: Path, at: int = 0) -> NDArray[np.uint8]:
    """The clip (T, h, w, 3) uint8 that begins at byte `at` of a file, read when it is used.

    Raises BadClip for what is no `.npy` (also an archive of several under its name), for an array of another type or
    shape, and for a header that asks for more than the file holds.
    """
    try:
        with open(path, "rb") as file:
            file.seek(at)
            version = np.lib.format.read_magic(file)
            if version not in HEADERS:
                raise ValueError(f"version {version[0]}.{version[1]} of the format holds no pictures")
            shape, by_column, dtype = HEADERS[version](file)
            begin = file.tell()
            there = file.seek(0, 2) - begin
        if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or min(shape) < 1:
            raise BadClip("not a clip", f"{dtype}{shape}, expected uint8(T, height, width, 3)")
        if (needed := math.prod(shape)) > there:
            raise BadClip("unreadable array", f"its header declares {needed} bytes, the file has {there}")
        return np.memmap(path, np.uint8, "r", begin, shape, "F" if by_column else "C")
    except DAMAGED as error:
        raise BadClip("unreadable array", " ".join(str(error).split())) from error
