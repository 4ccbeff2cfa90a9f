"""One video of a whole face → the crops of its mouth. The recipe, and what was seen on the way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lipkd.data.store import Frames
from preprocessing.face.geometry import Pose, crop, crop_matrix, halvings_for, longest_gap, pose_of
from preprocessing.face.landmarks import follow_face
from preprocessing.rejects import BadClip
from preprocessing.video.image_folder import read_pictures
from preprocessing.video.picture import Picture
from preprocessing.video.resample import Span, video_pictures

OUTSIDE = 0.2  # share of the frames in which the mouth may lie outside the picture

KEPT_BYTES = 64_000_000
DARK = 12.0  # mean brightness; a face would show on anything lighter


@dataclass(frozen=True)
class CropOptions:
    """How a mouth is cropped: `size` (height, width) in pixels, `grey` or RGB, `margin` left and right of a mouth at
    rest in mouth widths, `max_missing` the share of frames in which the face may be missed."""

    size: tuple[int, int] = (50, 100)
    grey: bool = False
    margin: float = 0.25
    max_missing: float = 0.2


def crop_mouth(path: Path, span: Span | None, options: CropOptions, bundle: Path) -> tuple[Frames, dict[str, Any]]:
    """The mouth in each frame at 25 frames/s, RGB (T, height, width, 3), and what was seen.

    Raises BadClip.
    """
    pictures = Pictures(path, span)
    track = follow_face(pictures, bundle)
    if len(track.points) == 0:
        raise BadClip("empty video", "not one frame at 25 frames/s")
    if not track.found.any() and (brightness := _brightness(pictures)) < DARK:
        raise BadClip("black pictures", f"mean brightness {brightness:.0f} of 255")
    pose = pose_of(track.points, max_missing=options.max_missing)
    frames = np.stack(list(_crops(pictures, pose, options)))
    found = track.found
    seen = {
        "face_found": round(float(found.mean()), 4),
        "longest_gap": longest_gap(found),
        "other_faces": track.others,
        "mouth_width": round(float(np.median(pose.width)), 1),
    }
    return frames, seen


class Pictures:
    """The pictures of a clip, for two passes: its scale is known only at its end, and the crops come after.

    They are kept in memory up to KEPT_BYTES; a clip that is longer or larger is decoded again for every pass.
    """

    def __init__(self, path: Path, span: Span | None) -> None:
        self.path, self.span = path, span
        self.kept: list[Picture] | None = None

    def __iter__(self) -> Iterator[Picture]:
        if self.kept is not None:
            yield from self.kept
            return
        kept, size = [], 0
        for picture in read_pictures(self.path) if self.path.is_dir() else video_pictures(self.path, self.span):
            size += picture.nbytes
            if size <= KEPT_BYTES:
                kept.append(picture)
            yield picture
        if size <= KEPT_BYTES:
            self.kept = kept


def _brightness(pictures: Iterable[Picture]) -> float:
    return float(np.mean([picture.mean() for picture in pictures]))


def _crops(pictures: Iterable[Picture], pose: Pose, options: CropOptions) -> Iterator[Frames]:
    halvings = halvings_for(pose, options.size, options.margin)
    outside = 0
    for number, picture in enumerate(pictures):
        x, y = pose.centre[number]
        outside += not (0 <= x < picture.shape[1] and 0 <= y < picture.shape[0])
        yield crop(picture, crop_matrix(pose, number, options.size, options.margin), options.size, halvings)
    if outside > OUTSIDE * len(pose.centre):
        raise BadClip("mouth outside the picture", f"in {outside} of {len(pose.centre)} frames")
