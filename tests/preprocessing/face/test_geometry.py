"""The crop follows the face, not the picture: the same real clip scaled, shifted, turned and brightened."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from preprocessing.face.geometry import LIP_POINTS, TIP, Pose, crop_matrix, pose_of
from preprocessing.face.landmarks import KEPT, Points, follow_face
from preprocessing.rejects import BadClip
from preprocessing.video.picture import Picture
from preprocessing.video.resample import video_pictures

SIZE, MARGIN = (50, 100), 0.25
N_FRAMES = 25


@pytest.fixture(scope="module")
def bundle(real_data: Path) -> Path:
    return real_data / "models" / "face_landmarker.task"


@pytest.fixture(scope="module", params=["bbaf3s.mpg", "pgwe8p.mp4"])
def pictures(request: pytest.FixtureRequest, real_data: Path) -> list[Picture]:
    clip = real_data / "grid" / "video" / "s1" / request.param
    return list(video_pictures(clip))[20 : 20 + N_FRAMES]


@pytest.fixture(scope="module")
def lips(pictures: list[Picture], bundle: Path) -> Points:
    """Lip landmarks (T, 8, 2) of the untouched clip: points on the face to which every version is compared."""
    return follow_face(pictures, bundle).points[:, LIP_POINTS]


def in_crop(pose: Pose, points: Points) -> Points:
    """Points (T, K, 2) of the pictures in the pixels of the crop."""
    matrices = np.stack([crop_matrix(pose, frame, SIZE, MARGIN) for frame in range(len(points))])
    return np.einsum("tij,tkj->tki", matrices[:, :, :2], points) + matrices[:, None, :, 2]


def measured(points: Points) -> tuple[Points, Points]:
    """Mouth centre (T, 2) and mouth width (T,)."""
    return points.mean(1), np.linalg.norm(points[:, 0] - points[:, 1], axis=-1)


def version(scale: float = 1.0, degrees: float = 0.0, shift: tuple[int, int] = (0, 0)) -> Points:
    """The 2×3 matrix that scales and turns the 360×288 picture about its middle onto a canvas of 600×480."""
    matrix = np.asarray(cv2.getRotationMatrix2D((180, 144), degrees, scale), np.float64)
    return matrix + np.array([[0, 0, 120 + shift[0]], [0, 0, 96 + shift[1]]])


@pytest.mark.parametrize(
    ("matrix", "gain", "offset"),
    [
        pytest.param(version(0.6), 1.0, 0, id="smaller"),
        pytest.param(version(1.5), 1.0, 0, id="larger"),
        pytest.param(version(shift=(90, -60)), 1.0, 0, id="shifted"),
        pytest.param(version(degrees=10), 1.0, 0, id="turned left"),
        pytest.param(version(degrees=-10), 1.0, 0, id="turned right"),
        pytest.param(version(), 1.2, 25, id="brighter"),
        pytest.param(version(0.8, -7, (-50, 40)), 0.85, 10, id="all at once"),
    ],
)
def test_the_crop_does_not_depend_on_where_the_face_is(
    pictures: list[Picture],
    lips: Points,
    bundle: Path,
    matrix: Points,
    gain: float,
    offset: int,
) -> None:
    plain = pose_of(follow_face(pictures, bundle).points, max_missing=0)
    moved = (cv2.warpAffine(picture, matrix, (600, 480), flags=cv2.INTER_AREA) for picture in pictures)
    changed: list[Picture] = [
        cv2.convertScaleAbs(picture, alpha=gain, beta=offset).astype(np.uint8) for picture in moved
    ]
    pose = pose_of(follow_face(changed, bundle).points, max_missing=0)
    centre, width = measured(in_crop(plain, lips))
    other_centre, other_width = measured(in_crop(pose, lips @ matrix[:, :2].T + matrix[:, 2]))
    off, wider = np.linalg.norm(other_centre - centre, axis=-1).max(), np.abs(other_width / width - 1).max()
    print(f"centre {off:.2f} px, width {wider:.2%}")
    assert off <= 2
    assert wider <= 0.05


def drawn_face(nose: float, frames: int = 5) -> Points:
    """Landmarks (T, K, 2) of a face whose eyes are 40 px apart and whose nose tip stands `nose` px off their middle."""
    points = np.zeros((len(KEPT), 2))
    points[:4] = [(80, 100), (90, 100), (120, 100), (130, 100)]
    points[4 : LIP_POINTS.start] = [(105, 100 + 5 * k) for k in range(LIP_POINTS.start - 4)]
    points[TIP, 0] = 105 + nose
    points[LIP_POINTS] = [(90, 150), (120, 150), (105, 142), (105, 158), (97, 144), (113, 144), (97, 156), (113, 156)]
    return np.repeat(points[None], frames, 0)


def test_a_face_from_the_side_is_refused() -> None:
    pose = pose_of(drawn_face(nose=20), max_missing=0)  # half an eye distance: turned, but both corners show
    assert np.allclose(pose.centre, (105, 150)) and np.allclose(pose.angle, 0)
    with pytest.raises(BadClip, match=r"face from the side: nose 0\.9 eye distances off the middle, 0\.8 allowed"):
        pose_of(drawn_face(nose=-36), max_missing=0)


def test_a_still_face_stays_still(pictures: list[Picture], bundle: Path) -> None:
    rng = np.random.default_rng(0)
    noisy: list[Picture] = [
        np.clip(pictures[0] + rng.normal(0, 6, pictures[0].shape), 0, 255).astype(np.uint8) for _ in range(40)
    ]
    pose = pose_of(follow_face(noisy, bundle).points, max_missing=0)
    fixed = np.repeat(pose.centre.mean(0)[None, None], len(noisy), 0)  # a point that does not move
    jitter = np.linalg.norm(np.diff(in_crop(pose, fixed)[:, 0], axis=0), axis=-1)
    print(f"jitter {jitter.max():.3f} px")
    assert jitter.max() <= 0.5


def test_five_missed_frames_are_bridged_and_forty_are_not(pictures: list[Picture], bundle: Path) -> None:
    black = np.zeros_like(pictures[0])
    short = [*pictures[:10], *[black] * 5, *pictures[15:]]
    track = follow_face(short, bundle)
    assert not track.found[10:15].any() and track.found.sum() == N_FRAMES - 5
    bridged, whole = (
        pose_of(track.points, max_missing=0.2),
        pose_of(follow_face(pictures, bundle).points, max_missing=0),
    )
    assert np.abs(bridged.centre - whole.centre).max() < 3
    long = [*pictures, *[black] * 40, *pictures]
    with pytest.raises(BadClip, match="face missing too long: 40 frames in a row"):
        pose_of(follow_face(long, bundle).points, max_missing=0.9)
