"""Clips that show the mouth and nothing else: a video, a folder of pictures, or an array, brought to one size."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipkd.data.store import Frames
from preprocessing.rejects import BadClip
from preprocessing.video.array_file import map_clip
from preprocessing.video.image_folder import read_picture, read_pictures
from preprocessing.video.resample import FPS, LONGEST_S, Span, video_pictures, video_width

LARGEST_CROP = 200  # pixels wide; a wider video shows more than a mouth


def read_crops(path: Path, span: Span | None, size: tuple[int, int]) -> Frames:
    """The frames of a clip at 25 frames/s, RGB (T, height, width, 3) uint8; `size` is (height, width).

    Pictures of another size are resized by area; `span`, in seconds, is for videos. Raises BadClip with the reason
    when the clip is empty, damaged or not in colour. Damage that FFmpeg can decode all the same (a few flipped bits)
    goes unnoticed.
    """
    if path.suffix.lower() == ".npy" and path.is_file():
        return load_array(path, size)
    pictures = read_pictures(path) if path.is_dir() else video_pictures(path, span)
    try:
        frames = [_fit(picture, size) for picture in pictures]
    except cv2.error as error:
        raise BadClip("unreadable", " ".join(str(error).split())) from error
    if not frames:
        raise BadClip("empty video", "not one frame at 25 frames/s")
    return np.stack(frames)


def load_array(path: Path, size: tuple[int, int]) -> Frames:
    """A clip stored as an array (T, h, w, 3) of uint8, resized by area to `size`; raises BadClip."""
    array = map_clip(path)
    if len(array) > LONGEST_S * FPS:
        raise BadClip("too long", f"{len(array)} frames, at most {LONGEST_S * FPS:.0f}")
    if array.shape[1:3] == size:
        return np.array(array, order="C")
    resized = [cv2.resize(frame, (size[1], size[0]), interpolation=cv2.INTER_AREA) for frame in array]
    return np.stack(resized).astype(np.uint8, copy=False)


def picture_width(path: Path) -> int:
    """Width in pixels of a video's pictures as players show them, or of the first picture in a folder; 0 when it
    cannot be read."""
    if path.is_dir():
        first = next((entry for entry in sorted(path.iterdir()) if entry.suffix.lower() == ".png"), None)
        picture = None if first is None else read_picture(first)
        return 0 if picture is None else picture.shape[1]
    try:
        return video_width(path)
    except BadClip:
        return 0


def to_grey(frames: Frames) -> Frames:
    """RGB (T, H, W, 3) → grey (T, H, W, 1)."""
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])[..., None].astype(np.uint8)


def _fit(picture: NDArray[np.uint8], size: tuple[int, int]) -> Frames:
    """BGR (h, w, 3) of any size → RGB (*size, 3)."""
    if picture.shape[:2] != size:
        picture = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return np.ascontiguousarray(picture[:, :, ::-1])
