"""Faces of a clip: the few landmarks that the crop needs, of the one face that is followed.

MediaPipe's FaceLandmarker in video mode, a fresh one for every clip (16 ms): what it remembers of one clip
must not reach the next, or the crops would depend on the order of the work.
"""

import multiprocessing
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from preprocessing.video.picture import Picture
from preprocessing.video.resample import FPS

Points = NDArray[np.float64]  # (..., K, 2): x, y in pixels
EYES = ((33, 133), (362, 263))  # corners of the right and of the left eye, as the person has them
BRIDGE, NOSE_BASE, NOSE_TIP = (168, 6, 197, 195), (2, 98, 327), (1,)
LIPS = (61, 291, 0, 17, 37, 267, 84, 314)  # corners first, then the outer line
KEPT = (*EYES[0], *EYES[1], *BRIDGE, *NOSE_BASE, *NOSE_TIP, *LIPS)
MOST_FACES = 3
LONG_SIDE = 960  # of the picture that the face is looked for in; larger ones are shrunk, which is faster
SAME_FACE = 1.0  # a face moves less than its own eye distance from one sighting to the next
REAL_TRACK = 0.2  # share of the longest track; shorter ones are passers-by or mistakes


@dataclass(frozen=True)
class Track:
    """One face through a clip: `points` (T, K, 2), NaN where it was not found. `others` counts further faces."""

    points: Points
    others: int

    @property
    def found(self) -> NDArray[np.bool_]:
        """(T,) whether the face was seen."""
        return ~np.isnan(self.points[:, 0, 0])


def follow_face(pictures: Iterable[Picture], bundle: Path) -> Track:
    """Landmarks of the face that is there longest and largest in a clip at 25 frames/s, in the pictures' pixels."""
    return choose_track(list(_detect(pictures, bundle)))


def _detect(pictures: Iterable[Picture], bundle: Path) -> Iterable[list[Points]]:
    # Half a second and 100 MB that only workers need to spend.
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    _hush()
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(bundle)),
        running_mode=vision.RunningMode.VIDEO,
        num_faces=MOST_FACES,  # over one, mediapipe does not smooth, and finds a lost face again at once
    )
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for number, picture in enumerate(pictures):
            height, width = picture.shape[:2]
            if (shrink := LONG_SIDE / max(height, width)) < 1:
                small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
                picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA).astype(np.uint8)
            rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
            found = landmarker.detect_for_video(image, round(number * 1000 / FPS)).face_landmarks
            yield [np.array([(face[k].x * width, face[k].y * height) for k in KEPT]) for face in found]


def _hush() -> None:
    """In a worker, silence stderr: mediapipe's C++ chatters there at any log level, and errors travel as results."""
    if multiprocessing.parent_process() is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


def choose_track(sightings: list[list[Points]]) -> Track:
    """Join sightings (per frame, a (K, 2) array per face) to tracks; take the one with the largest sum of sizes."""
    tracks: list[dict[int, Points]] = []
    for frame, faces in enumerate(sightings):
        free = list(tracks)
        for face in sorted(faces, key=eye_distance, reverse=True):
            near = [(np.linalg.norm(_middle(face) - _middle(_last(track))), i) for i, track in enumerate(free)]
            distance, index = min(near, default=(np.inf, -1))
            if distance <= SAME_FACE * max(eye_distance(face), 1.0):
                free.pop(index)[frame] = face
            else:
                tracks.append({frame: face})
    points = np.full((len(sightings), len(KEPT), 2), np.nan)
    if not tracks:
        return Track(points, 0)
    chosen = max(tracks, key=lambda track: sum(eye_distance(face) for face in track.values()))
    for frame, face in chosen.items():
        points[frame] = face
    return Track(points, sum(len(track) >= REAL_TRACK * len(chosen) for track in tracks) - 1)


def eye_distance(points: Points) -> float:
    """Distance between the middles of the eyes, in pixels, of one face (K, 2)."""
    return float(np.linalg.norm(points[2:4].mean(0) - points[0:2].mean(0)))


def _middle(points: Points) -> Points:
    return points.mean(0)


def _last(track: dict[int, Points]) -> Points:
    return track[max(track)]
