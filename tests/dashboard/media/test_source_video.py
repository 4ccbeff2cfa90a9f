"""The original video of a clip: converted for browsers, cut to the clip, and nothing but what the store names."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from dashboard.media.source_video import NoVideo, SourceVideo, begin, source_path, source_video
from lipkd.data.store import Clip
from tests.dashboard.filmed import film, frames_of, needs_ffmpeg, store_of


def streams(content: bytes, folder: Path) -> dict[str, str]:
    path = folder / "probed.mp4"
    path.write_bytes(content)
    called = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,codec_name", "-of", "json", str(path)]
    told = json.loads(subprocess.run(called, check=True, capture_output=True).stdout)
    return {stream["codec_type"]: stream["codec_name"] for stream in told["streams"]}


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("face.mpg", ("-c:v", "mpeg1video", "-c:a", "mp2")),
        ("face.avi", ("-c:v", "mjpeg", "-c:a", "pcm_s16le")),
        ("face.mp4", ("-c:v", "libx264", "-c:a", "aac")),
        ("face.mkv", ("-c:v", "libx264", "-an")),
    ],
)
def test_any_container_becomes_h264_and_aac(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    """25 frames, at once and again from the cache; a silent one has no sound."""
    film(tmp_path / "raw" / name, *options)
    store = store_of(tmp_path / "store", tmp_path / "raw", {"ada/face": name})
    found = source_video(store, store.clips[0], tmp_path / "cache")
    assert isinstance(found, SourceVideo)
    silent = "-an" in options
    assert streams(found.content, tmp_path) == {"video": "h264"} | ({} if silent else {"audio": "aac"})
    assert found.sound is not silent
    assert [frame.shape for frame in frames_of(found.content, tmp_path)] == [(240, 320, 3)] * 25
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"from the cache")
    assert source_video(store, store.clips[0], tmp_path / "cache") == SourceVideo(b"from the cache", found.sound)


@needs_ffmpeg
def test_a_video_that_was_changed_is_another_one(tmp_path: Path) -> None:
    path = film(tmp_path / "raw" / "face.mp4", tone=False)
    store = store_of(tmp_path / "store", tmp_path / "raw", {"ada/face": "face.mp4"})
    source_video(store, store.clips[0], tmp_path / "cache")
    os.utime(path, (1, 1))
    source_video(store, store.clips[0], tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


@needs_ffmpeg
def test_a_clip_that_is_a_part_of_a_video_shows_that_part(tmp_path: Path) -> None:
    """The test picture changes every frame: the first one of the part is the one at 1.4 seconds."""
    path = film(tmp_path / "raw" / "talk.mp4", "-c:v", "libx264", "-crf", "12", seconds=3.0)
    store = store_of(tmp_path / "store", tmp_path / "raw", {"ada/talk@1.4": "talk.mp4"})
    found = source_video(store, store.clips[0], tmp_path / "cache")
    assert isinstance(found, SourceVideo)
    part, whole = frames_of(found.content, tmp_path), frames_of(path.read_bytes(), tmp_path)
    assert len(part) == 25
    distance = [abs(part[0].astype(int) - frame).mean() for frame in whole]
    assert distance.index(min(distance)) == 35


@pytest.mark.parametrize(
    ("clip_id", "source", "seconds"),
    [("ada/talk@2.5", "a/talk.mp4", 2.5), ("ada/talk", "talk.mp4", 0.0), ("ada/me@home", "me@home.mp4", 0.0)],
)
def test_where_a_clip_begins(clip_id: str, source: str, seconds: float) -> None:
    assert begin(Clip(clip_id, "ada", 0, 25, 25.0, "", (), source)) == seconds


@needs_ffmpeg
def test_a_silent_video_of_the_mouth_alone_is_no_original(tmp_path: Path) -> None:
    film(tmp_path / "raw" / "mouth.mp4", size="100x50", tone=False)
    store = store_of(tmp_path / "store", tmp_path / "raw", {"ada/mouth": "mouth.mp4"})
    assert source_video(store, store.clips[0], tmp_path / "cache") == NoVideo()


@needs_ffmpeg
def test_no_ffmpeg_program_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "raw" / "face.mp4")
    store = store_of(tmp_path / "store", tmp_path / "raw", {"ada/face": "face.mp4"})
    monkeypatch.setenv("PATH", str(tmp_path))
    found = source_video(store, store.clips[0], tmp_path / "cache")
    assert isinstance(found, SourceVideo) and found.sound


@needs_ffmpeg
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is a text, whatever its name says",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile secret.mp4\n",
    ],
)
def test_what_is_no_video_is_told_and_leads_nowhere(tmp_path: Path, content: bytes) -> None:
    """A play list in a file that is called like a video is not followed, not even to its neighbour."""
    film(tmp_path / "raw" / "secret.mp4")
    (tmp_path / "raw" / "face.mp4").write_bytes(content)
    store = store_of(tmp_path / "store", tmp_path / "raw", {"ada/face": "face.mp4"})
    found = source_video(store, store.clips[0], tmp_path / "cache")
    assert isinstance(found, NoVideo) and "cannot be read" in found.reason
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_nothing_outside_the_root_is_ever_opened(tmp_path: Path) -> None:
    """By `..`, by an absolute name, by links of files and folders, by a link in a circle, by a NUL, by a folder."""
    raw, outside = tmp_path / "raw", tmp_path / "outside"
    (raw / "folder").mkdir(parents=True)
    outside.mkdir()
    (outside / "face.mp4").write_bytes(b"x")
    (raw / "good.mp4").write_bytes(b"x")
    (raw / "inner link.mp4").symlink_to(raw / "good.mp4")
    (raw / "link.mp4").symlink_to(outside / "face.mp4")
    (raw / "linked").symlink_to(outside)
    (raw / "circle").symlink_to(raw / "circle")
    bad = ["../outside/face.mp4", str(outside / "face.mp4"), "link.mp4", "linked/face.mp4", "circle", "a\0b", "folder"]
    bad += ["", "not there.mp4", "/etc/passwd", "folder/../../outside/face.mp4"]
    good = ["good.mp4", "inner link.mp4", "folder/../good.mp4"]
    store = store_of(tmp_path / "store", raw, {f"s/{i}": source for i, source in enumerate([*good, *bad])})
    found = [source_path(store, clip) for clip in store.clips]
    assert found == [(raw / "good.mp4").resolve()] * 3 + [None] * len(bad)


@pytest.mark.parametrize("root", ["", "relative", "/nowhere/at/all"])
def test_a_root_that_is_no_folder_here_has_no_videos(tmp_path: Path, root: str) -> None:
    store = store_of(tmp_path / "store", Path(root), {"s/1": "face.mp4"})
    assert source_video(store, store.clips[0], tmp_path / "cache") == NoVideo()
