"""Decoding of one clip to mouth pictures: from a video file or from a folder of numbered PNGs."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipkd.store import Frames
from preprocessing.quiet_cv2 import cv2

FPS = 25.0
FPS_TOLERANCE = 0.05  # over ten seconds half a frame
# Containers without a count of their frames: FFmpeg estimates it from times or the file's size.
ESTIMATED_LENGTH = frozenset((".mpg", ".mpeg", ".mkv", ".webm", ".flv", ".ogv", ".ts", ".mts"))
ESTIMATE_SHARE = 0.9  # fewer frames than this share of the estimate: the end is missing


class BadClip(Exception):
    """A clip that cannot be used: the `kind` of the fault, for counting, and what exactly it is."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def decode(path: Path, size: tuple[int, int]) -> Frames:
    """The frames of a clip, RGB (T, height, width, 3) uint8; `size` is (height, width).

    Pictures of another size are resized by area. Raises BadClip with the reason when the clip is
    empty, damaged, not at 25 frames/s or not in colour. Damage that FFmpeg can decode all the same (a
    few flipped bits) goes unnoticed.
    """
    pictures = _pictures(path) if path.is_dir() else _video(path)
    try:
        return np.stack([_fit(picture, size) for picture in pictures])
    except cv2.error as error:
        raise BadClip("unreadable", " ".join(str(error).split())) from error


def _fit(picture: NDArray[np.uint8], size: tuple[int, int]) -> Frames:
    """BGR (h, w, 3) of any size → RGB (*size, 3)."""
    if picture.shape[:2] != size:
        picture = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return np.ascontiguousarray(picture[:, :, ::-1])


def _video(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield BGR frames; the check of the length comes after the last one."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        if not capture.isOpened():
            raise BadClip("unreadable video", "no picture stream that can be decoded")
        fps = capture.get(cv2.CAP_PROP_FPS)
        if not abs(fps - FPS) <= FPS_TOLERANCE:
            raise BadClip("wrong frame rate", f"{fps:g} frames/s, expected {FPS:g}")
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        count = 0
        while (read := capture.read())[0]:
            count += 1
            yield read[1].astype(np.uint8, copy=False)
        if count == 0:
            raise BadClip("empty video", "not one frame can be decoded")
        estimated = path.suffix.lower() in ESTIMATED_LENGTH
        if count < promised * (ESTIMATE_SHARE if estimated else 1):
            raise BadClip("truncated video", f"{count} of {promised} frames can be decoded")
    finally:
        capture.release()


def _pictures(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield BGR pictures in the order of the numbers in their names."""
    paths = [path for path in folder.iterdir() if path.suffix.lower() == ".png" and not path.name.startswith(".")]
    if not paths:
        raise BadClip("empty folder", "no PNG in it")
    shape: tuple[int, ...] | None = None
    for path in _in_order(paths):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise BadClip("unreadable picture", path.name)
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            channels = 1 if picture.ndim == 2 else picture.shape[2]
            raise BadClip("not RGB", f"{path.name} has {channels} channels of {picture.dtype}, expected 3 of uint8")
        if shape is not None and picture.shape != shape:
            raise BadClip("pictures of different sizes", f"{path.name} is {_size(picture.shape)} after {_size(shape)}")
        shape = picture.shape
        yield picture.astype(np.uint8, copy=False)


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
