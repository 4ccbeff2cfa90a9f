"""Clips that somebody wants read: mouth crops as they are, faces cropped first."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import preprocessing.face.mouth_reader
from lipkd.data.store import Frames
from lipkd.errors import LipkdError
from preprocessing.face.mouth_reader import MouthReader
from preprocessing.rejects import BadClip
from preprocessing.synthetic.make_corpus import make_corpus
from preprocessing.video.mouth_clips import read_crops


@pytest.fixture(scope="module")
def mouth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = tmp_path_factory.mktemp("synth") / "corpus"
    make_corpus(corpus, speakers=1, clips=1, form="video")
    return next((corpus / "mouth").rglob("*.mp4"))


def pictures(folder: Path, width: int) -> Path:
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"face_{number}.png"), np.full((width // 2, width, 3), 90, np.uint8))
    return folder


def test_mouth_crops_are_read_as_prepare_reads_them(mouth: Path) -> None:
    frames = MouthReader((24, 48, 3))(mouth)
    assert frames.shape[1:] == (24, 48, 3) and np.array_equal(frames, read_crops(mouth, None, (24, 48)))
    grey = MouthReader((24, 48, 1))(mouth)
    luminance = frames @ np.array([0.299, 0.587, 0.114])
    assert grey.shape == (*frames.shape[:3], 1) and np.abs(grey[..., 0] - luminance).max() <= 1


def test_wide_pictures_are_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def crop(path: Path, span: None, options: Any, bundle: Path) -> tuple[Frames, dict[str, Any]]:
        asked.append((path, options.size, options.margin, bundle))
        return np.zeros((2, *options.size, 3), np.uint8), {}

    monkeypatch.setattr(preprocessing.face.mouth_reader, "crop_mouth", crop)
    (tmp_path / "face.task").touch()
    reader = MouthReader((20, 40, 3), margin=0.1, landmarker=tmp_path / "face.task")
    assert reader(pictures(tmp_path / "narrow", 200)).shape == (2, 20, 40, 3) and asked == []
    assert reader(pictures(tmp_path / "wide", 240)).shape == (2, 20, 40, 3)
    assert asked == [(tmp_path / "wide", (20, 40), 0.1, tmp_path / "face.task")]


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "torn.mp4").write_bytes(b"not a video")
    (tmp_path / "empty").mkdir()
    for name in ("torn.mp4", "empty", "gone.mp4"):
        with pytest.raises(LipkdError) as refused:
            MouthReader((24, 48, 3))(tmp_path / name)
        assert isinstance(refused.value.__cause__, BadClip)


def test_a_face_is_found_in_a_real_video(real_data: Path) -> None:
    landmarker = real_data / "models" / "face_landmarker.task"
    video = next(iter(sorted((real_data / "grid").rglob("*.mp*g*"))))
    frames = MouthReader((50, 100, 3), landmarker=landmarker)(video)
    assert frames.shape == (75, 50, 100, 3) and frames.std() > 10
