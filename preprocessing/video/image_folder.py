"""A clip as a folder of numbered pictures."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from preprocessing.rejects import BadClip


def read_pictures(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield BGR pictures in the order of the numbers in their names."""
    paths = [path for path in folder.iterdir() if path.suffix.lower() == ".png" and not path.name.startswith(".")]
    if not paths:
        raise BadClip("empty folder", "no PNG in it")
    shape: tuple[int, ...] | None = None
    for path in _in_order(paths):
        picture = read_picture(path)
        if picture is None:
            raise BadClip("unreadable picture", path.name)
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            channels = 1 if picture.ndim == 2 else picture.shape[2]
            raise BadClip("not RGB", f"{path.name} has {channels} channels of {picture.dtype}, expected 3 of uint8")
        if shape is not None and picture.shape != shape:
            raise BadClip("pictures of different sizes", f"{path.name} is {_size(picture.shape)} after {_size(shape)}")
        shape = picture.shape
        yield picture.astype(np.uint8, copy=False)


def read_picture(path: Path) -> NDArray[np.generic] | None:
    """A picture as it is in its file, BGR if it has colours; None when it cannot be read."""
    # What is wrong reaches the user as a reason, not in OpenCV's words on stderr.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def _in_order(paths: list[Path]) -> list[Path]:
    """Paths by the number that ends their names, which counts up from 0 or 1; raises BadClip where it doesn't."""
    numbers: dict[int, Path] = {}
    for path in sorted(paths):
        match = re.search(r"(\d+)$", path.stem)
        if match is None:
            raise BadClip("picture without a number", f"{path.name} does not end in its frame's number")
        number = int(match[1])
        if number in numbers:
            raise BadClip("picture number twice", f"{numbers[number].name} and {path.name}")
        numbers[number] = path
    ordered = sorted(numbers)
    for before, number in pairwise([min(ordered[0], 1) - 1, *ordered]):
        if number != before + 1:
            raise BadClip("pictures missing", f"none between number {before} and {numbers[number].name}")
    return [numbers[number] for number in ordered]


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}"
