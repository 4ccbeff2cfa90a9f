"""Videos that somebody brings along: read in a process of their own, hostile ones too, and kept nowhere."""

import io
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from dashboard.upload import read_upload as module
from dashboard.upload.deployed_models import deployed_models
from dashboard.upload.read_upload import read_upload
from lipkd.errors import LipkdError
from preprocessing.synthetic.make_corpus import draw_clip, write_video
from tests.dashboard.deployed import deploy
from tests.dashboard.filmed import film, needs_ffmpeg

PLAY_LIST = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9.0,\nfile://{}\n#EXT-X-ENDLIST\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deploy(tmp_path_factory.mktemp("models") / "stubborn")


@pytest.fixture(scope="module")
def mouth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mouth") / "mouth"
    write_video(path, draw_clip(7, 0, 0)[1])
    return path.with_suffix(".mp4")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_mouth_is_read_and_nothing_of_it_is_left(model: Path, mouth: Path, temporary: Path) -> None:
    """One `a` from the first frame to the last; a name that points elsewhere is not looked at."""
    name = "../../<img src=x onerror=alert(1)>'\".MP4"
    result = read_upload(name, mouth.read_bytes(), model)
    length = len(draw_clip(7, 0, 0)[1])
    assert (result.hypothesis.text, [word.text for word in result.hypothesis.words]) == ("a", ["a"])
    (word,) = result.hypothesis.words
    assert (word.start, word.end) == pytest.approx((0.0, length / 25))
    assert result.hypothesis.confidence > 0.99 and word.confidence == pytest.approx(1.0, abs=0.01)
    assert result.frames.shape == (length, 24, 48, 3)
    assert result.posteriors.shape == (1, length, len(result.symbols))
    assert result.srt.startswith("1\n00:00:00,000 --> ") and result.vtt.startswith("WEBVTT")
    assert result.face is None and result.note == ""
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.txt", b"words", "videos that can be read: mp4, mov"),
        ("video", b"words", "videos that can be read: mp4, mov"),
        ("empty.mp4", b"", "0 bytes"),
        ("huge.mp4", bytes(2**20 + 1), "too large: up to 1 MB"),
    ],
)
def test_what_is_refused_at_once(
    name: str, content: bytes, reason: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_MB", 1)
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(LipkdError, match=reason):
        read_upload(name, content, model)


@needs_ffmpeg
def test_what_only_calls_itself_a_video_is_one_sentence(model: Path, temporary: Path, tmp_path: Path) -> None:
    """A zip file, and play lists that name a real video: they open no other file."""
    film(tmp_path / "other.ts")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.mp4", "words")
    lists = [
        PLAY_LIST.format(tmp_path / "other.ts").encode(),
        f"ffconcat version 1.0\nfile {tmp_path}/other.ts".encode(),
    ]
    for content in (packed.getvalue(), *lists):
        with pytest.raises(LipkdError, match="damaged, or not a video"):
            read_upload("x.mp4", content, model)
    assert list(temporary.iterdir()) == []


@needs_ffmpeg
def test_a_long_video_and_a_face_without_its_model(
    model: Path, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPKD_FACE_LANDMARKER", "/nowhere.task")
    short, long = film(tmp_path / "short.avi"), film(tmp_path / "long.avi", size="32x24", tone=False, seconds=61)
    for path, reason in ((short, "must be MediaPipe's face_landmarker.task"), (long, "longer than 60 seconds")):
        with pytest.raises(LipkdError, match=f"cannot be read: .*{reason}"):
            read_upload(path.name, path.read_bytes(), model)
    assert list(temporary.iterdir()) == []


def test_a_decoder_that_crashes_or_hangs_costs_its_video_only(
    model: Path, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the worker's place first a program that kills itself, then one that writes its number and waits."""
    number = tmp_path / "number"
    for does, reason in (("kill -SEGV $$", "the decoder crashed"), (f"echo $$ > {number}; sleep 60", "took longer")):
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        with pytest.raises(LipkdError, match=reason):
            read_upload("x.mp4", b"video", model, patience=2.0)
        assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


def test_the_worker_does_not_outlive_the_dashboard(tmp_path: Path) -> None:
    folder = tmp_path / "video"
    folder.mkdir()
    script = "import pathlib, sys, dashboard.upload.worker as w; w._end_with_caller(pathlib.Path(sys.argv[1]))"
    environment = module.environment()
    worker = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, env=environment, start_new_session=True
    )
    worker.communicate(timeout=60)
    assert worker.returncode == -signal.SIGKILL and not folder.exists()


def test_a_whole_face_is_found_in_a_real_video(
    real_data: Path, model: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setenv("LIPKD_FACE_LANDMARKER", str(real_data / "models" / "face_landmarker.task"))
    video = min((real_data / "grid").rglob("*.mp*g*"))
    result = read_upload(video.name, video.read_bytes(), model)
    assert result.frames.shape == (75, 24, 48, 3) and result.frames.std() > 10
    assert result.face is not None and result.face[4:8] == b"ftyp"
    assert list(temporary.iterdir()) == []


def test_models_are_listed_with_what_they_are(model: Path, tmp_path: Path) -> None:
    deploy(tmp_path / "one")
    for broken in ("two", ".hidden", "three"):
        (tmp_path / broken).mkdir()
    (tmp_path / "two" / "model.json").write_text("{}")
    (found,) = deployed_models(tmp_path).items()
    assert (found[0], found[1].folder) == ("one", tmp_path / "one")
    assert found[1].facts == (
        "Trial a trial, peer 1 of 2, epoch 3: WER 25.0 % on 6 validation clips, 0.12 M parameters. It was trained on "
        "clips of one clip store only: a video of another kind (drawn mouths or real faces, other words, another "
        "language) is read badly, and its confidence says nothing then."
    )
    assert deployed_models(tmp_path / "nowhere") == {}
