"""Clips as WebM: what comes out is the clip, and a clip's id never becomes a path."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from dashboard.media import clip_video
from lipkd.data.store import ClipStore, StoreWriter
from tests.dashboard.filmed import frames_of

GREYS = (20, 120, 220, 120, 20)


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_come_back_in_order_at_twice_the_size(tmp_path: Path, channels: int) -> None:
    frames = np.stack([np.full((20, 40, channels), grey, np.uint8) for grey in GREYS])
    content = clip_video.encode(frames, 25.0)
    assert content[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in content[:64] and b"matroska" not in content[:64]
    back = frames_of(content, tmp_path)
    assert [frame.shape for frame in back] == [(40, 80, 3)] * len(GREYS)
    assert [float(frame.mean()) for frame in back] == pytest.approx(list(GREYS), abs=6)


def test_colours_are_not_swapped(tmp_path: Path) -> None:
    """Red in, red out: the store holds RGB, OpenCV writes BGR."""
    red = np.zeros((3, 20, 40, 3), np.uint8)
    red[..., 0] = 200
    blue_out, green_out, red_out = frames_of(clip_video.encode(red, 25.0), tmp_path)[1].mean((0, 1))
    assert red_out > 150 and blue_out < 50 and green_out < 50


def test_a_clip_is_encoded_once(tiny_store: ClipStore, tmp_path: Path) -> None:
    clip = tiny_store.clips[0]
    first = clip_video.clip_video(tiny_store, clip, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"from the cache")
    assert clip_video.clip_video(tiny_store, clip, tmp_path) == b"from the cache"
    assert len(first) > 500


@pytest.mark.parametrize("channels", [1, 3])
def test_all_frames_in_one_picture(channels: int) -> None:
    """Five frames, two a row: the third stands below the first, what is left over is black."""
    frames = np.stack([np.full((20, 40, channels), grey, np.uint8) for grey in GREYS])
    sheet = cv2.imdecode(np.frombuffer(clip_video.crop_sheet(frames, 2), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    assert sheet.shape == (60, 80)
    middles = [float(sheet[20 * (i // 2) + 10, 40 * (i % 2) + 20]) for i in range(6)]
    assert middles == pytest.approx([*GREYS, 0], abs=3)


def test_hostile_ids_stay_inside_the_cache(tmp_path: Path) -> None:
    frames = np.zeros((2, 16, 32, 3), np.uint8)
    with StoreWriter(tmp_path / "store", height=16, width=32, channels=3) as writer:
        for name in ("../../escape", "/etc/passwd", "<script>"):
            writer.add(frames, id=name, speaker="x", fps=25.0, text="a", words=[], source="x")
        store = writer.close()
    cache = tmp_path / "cache"
    cache.mkdir()
    for clip in store.clips:
        clip_video.clip_video(store, clip, cache)
    names = [path.name for path in cache.iterdir()]
    assert len(names) == 3 and all(len(name) == 64 + len(".webm") for name in names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "store"]


def test_the_cache_forgets_the_oldest(tiny_store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_video, "KEPT", 2)
    for age, name in ((30, "old"), (20, "newer")):
        (tmp_path / f"{name}.webm").write_bytes(b"x")
        os.utime(tmp_path / f"{name}.webm", (1_000_000 - age, 1_000_000 - age))
    clip_video.clip_video(tiny_store, tiny_store.clips[0], tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert "newer.webm" in left and "old.webm" not in left and len(left) == 2


def test_the_cache_stays_below_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_video, "KEPT_BYTES", 25)
    for age, name in ((30, "old.mp4"), (20, "newer.webm"), (10, "newest.mp4")):
        (tmp_path / name).write_bytes(10 * b"x")
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    clip_video.forget_oldest(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"newer.webm", "newest.mp4"}


def test_the_cache_folder_is_the_users_own() -> None:
    assert clip_video.cache_folder().stat().st_mode & 0o077 == 0
