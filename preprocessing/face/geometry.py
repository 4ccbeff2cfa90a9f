"""From the landmarks of a clip to the similarity transform that crops each frame.

The eye line gives the rotation, the spread of points that do not move with speech the scale, the lips the
centre. The scale hardly changes within a clip and is smoothed over a second, rotation and centre over
a few frames: enough to still a face, little enough to follow a nod.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lipkd.data.store import Frames
from preprocessing.face.landmarks import KEPT, LIPS, NOSE_TIP, Points
from preprocessing.rejects import BadClip
from preprocessing.video.picture import Picture

Values = NDArray[np.float64]
STABLE = slice(0, 11)  # of KEPT: eyes, bridge and base of the nose
TIP = KEPT.index(NOSE_TIP[0])
LIP_POINTS = slice(len(KEPT) - len(LIPS), len(KEPT))
MOUTH_WIDTHS = 0.545  # a mouth at rest, as a share of the stable points' spread
LONGEST_GAP = 10  # missed frames in a row that are bridged: 0.4 s
SIGMA, SIGMA_SCALE = 1.5, 12.0  # frames
FROM_THE_SIDE = 0.8  # nose tip's distance from the middle of the eyes, in eye distances: a turn of some 60°


@dataclass(frozen=True)
class Pose:
    """Where the mouth is in each of T frames: `centre` (T, 2) and `width` of a mouth at rest (T,) in pixels,
    `angle` (T,) of the eye line in radians."""

    centre: Values
    width: Values
    angle: Values


def pose_of(points: Points, *, max_missing: float) -> Pose:
    """The smoothed pose of a track (T, K, 2) with NaN where the face was missed.

    Raises BadClip when there is no face, more than `max_missing` of the frames have none, or more than
    LONGEST_GAP in a row, or the face is seen from the side.
    """
    found = ~np.isnan(points[:, 0, 0])
    if not found.any():
        raise BadClip("no face", f"in none of {len(points)} frames")
    if (gap := longest_gap(found)) > LONGEST_GAP:
        raise BadClip("face missing too long", f"{gap} frames in a row, up to {LONGEST_GAP} are bridged")
    if (missing := 1 - found.mean()) > max_missing:
        raise BadClip("face missing too often", f"in {missing:.0%} of the frames, {max_missing:.0%} are allowed")
    points = bridge(points, found)
    right, left = points[:, 0:2].mean(1), points[:, 2:4].mean(1)
    eye_line = left - right
    along = eye_line / np.linalg.norm(eye_line, axis=1, keepdims=True)
    turn = ((points[:, TIP] - (left + right) / 2) * along).sum(1) / np.linalg.norm(eye_line, axis=1)
    if (typical := float(np.median(np.abs(turn)))) > FROM_THE_SIDE:
        raise BadClip("face from the side", f"nose {typical:.1f} eye distances off the middle, {FROM_THE_SIDE} allowed")
    angle = np.unwrap(np.arctan2(eye_line[:, 1], eye_line[:, 0]))
    stable = points[:, STABLE]
    spread = np.sqrt(((stable - stable.mean(1, keepdims=True)) ** 2).sum(-1).sum(-1))
    return Pose(
        centre=smooth(points[:, LIP_POINTS].mean(1), SIGMA),
        width=smooth(spread * MOUTH_WIDTHS, SIGMA_SCALE),
        angle=smooth(angle, SIGMA),
    )


def longest_gap(found: NDArray[np.bool_]) -> int:
    """The longest run of False."""
    edges = np.flatnonzero(np.concatenate(([True], found, [True])))
    return int(np.diff(edges).max()) - 1


def bridge(points: Points, found: NDArray[np.bool_]) -> Points:
    """Points (T, K, 2) with the missed frames filled in linearly; at the ends the nearest sighting stands."""
    times, seen = np.arange(len(points)), np.flatnonzero(found)
    flat = points.reshape(len(points), -1)
    columns = [np.interp(times, seen, flat[seen, column]) for column in range(flat.shape[1])]
    return np.stack(columns, 1).reshape(points.shape)


def smooth(values: Values, sigma: float) -> Values:
    """Gaussian mean over time (axis 0); the first and last value are repeated beyond the ends."""
    return gaussian_filter1d(values, sigma, axis=0, mode="nearest")


def crop_matrix(pose: Pose, frame: int, size: tuple[int, int], margin: float) -> Values:
    """The 2×3 matrix from picture to crop pixels: eye line horizontal, the mouth's centre in the middle.

    `size` is (height, width) of the crop, `margin` what it shows left and right of a mouth at rest, in
    mouth widths. Pixel (0, 0) has its middle at 0, 0.
    """
    height, width = size
    scale = width / ((1 + 2 * margin) * pose.width[frame])
    cos, sin = scale * np.cos(pose.angle[frame]), scale * np.sin(pose.angle[frame])
    turn = np.array([[cos, sin], [-sin, cos]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.column_stack([turn, middle - turn @ pose.centre[frame]])


def crop(picture: Picture, matrix: Values, size: tuple[int, int], halvings: int) -> Frames:
    """The crop (height, width, 3) RGB; a picture that is much finer is first shrunk by 2^halvings, by area."""
    if halvings:
        factor = 2**halvings
        small = (max(1, round(picture.shape[1] / factor)), max(1, round(picture.shape[0] / factor)))
        fx, fy = picture.shape[1] / small[0], picture.shape[0] / small[1]
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA).astype(np.uint8)
        back = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])
        matrix = matrix @ back
    cropped = cv2.warpAffine(
        picture, matrix, (size[1], size[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.cvtColor(cropped, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def halvings_for(pose: Pose, size: tuple[int, int], margin: float) -> int:
    """How often pictures are halved before the crop, so that no pixel is skipped; one number for the whole clip."""
    scale = size[1] / ((1 + 2 * margin) * float(np.median(pose.width)))
    return max(0, int(np.floor(np.log2(1 / scale))))
