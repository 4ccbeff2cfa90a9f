"""Where somebody speaks, and what is said about sound that cannot be used."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from preprocessing.alignment.audio import RATE, clip_sound
from preprocessing.alignment.find_speech import LEAD, STEP, TRAIL, find_speech
from preprocessing.rejects import CannotAlign


def sound(*parts: tuple[float, float]) -> np.ndarray:
    """White noise of (seconds, amplitude) parts, one after the other."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, level, round(seconds * RATE)) for seconds, level in parts]).astype(np.int16)


def test_speech_is_what_stands_out_from_the_room() -> None:
    start, end = find_speech(sound((1.0, 20), (0.5, 3000), (0.3, 20), (0.5, 3000), (0.7, 20)))
    assert start == pytest.approx(1.0 - LEAD, abs=2 * STEP)
    assert end == pytest.approx(2.3 + TRAIL, abs=2 * STEP)


@pytest.mark.parametrize(
    "parts",
    [
        ((0.6, 0), (0.4, 20), (0.5, 3000), (0.3, 20), (0.5, 3000), (0.2, 20), (0.5, 0)),  # both ends muted
        ((0.9, 0), (0.1, 20), (0.5, 3000), (0.3, 20), (0.5, 3000), (0.7, 20)),  # sound that starts late
        ((1.0, 20), (0.5, 3000), (0.3, 20), (0.5, 3000), (0.1, 20), (0.6, 0)),  # sound that ends early
        ((0.9, 0.5), (0.1, 20), (0.5, 3000), (0.3, 20), (0.5, 3000), (0.1, 20), (0.6, 0.5)),  # … with rounding
        (
            (0.9, 0),
            (0.03, 3),
            (0.07, 20),
            (0.5, 3000),
            (0.3, 20),
            (0.5, 3000),
            (0.1, 20),
            (0.03, 3),
            (0.57, 0),
        ),  # faded
        ((1.0, 300), (0.5, 3000), (0.3, 300), (0.5, 3000), (0.7, 300)),  # noise 20 dB below
    ],
)
def test_digital_silence_is_not_the_rooms_noise(parts: tuple[tuple[float, float], ...]) -> None:
    """The same speech as above, from 1.0 to 2.3 s."""
    start, end = find_speech(sound(*parts))
    assert start == pytest.approx(1.0 - LEAD, abs=2 * STEP)
    assert end == pytest.approx(2.3 + TRAIL, abs=2 * STEP)


def test_a_click_and_a_cough_far_from_the_speech_are_left_out() -> None:
    parts = ((0.3, 20), (0.05, 3000), (0.6, 20), (1.0, 3000), (0.6, 20), (0.12, 3000), (0.3, 20))
    start, end = find_speech(sound(*parts))
    assert start == pytest.approx(0.95 - LEAD, abs=2 * STEP)
    assert end == pytest.approx(1.95 + TRAIL, abs=2 * STEP)


def test_times_do_not_drift_in_a_long_clip() -> None:
    start, end = find_speech(sound((50.0, 20), (5.0, 3000), (3.0, 20)))
    assert [start, end] == pytest.approx([50 - LEAD, 55 + TRAIL], abs=2 * STEP)


@pytest.mark.parametrize(
    "parts", [((2.0, 0),), ((2.0, 20),), ((2.0, 3000),), ((0.005, 20),), ((2.0, 20), (0.1, 900)), ((1.0, 0), (1.0, 20))]
)
def test_no_speech_is_a_reason(parts: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(CannotAlign) as reason:
        find_speech(sound(*parts))
    assert reason.value.kind == "silence only"


@pytest.fixture
def ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found is None or shutil.which("ffprobe") is None:
        pytest.skip("ffmpeg and ffprobe are not installed")
    return found


def write_clip(ffmpeg: str, path: Path, *audio: str, seconds: float = 1.0) -> Path:
    """A black video at 25 frames/s, with the audio that FFmpeg makes of `audio`."""
    picture = ["-f", "lavfi", "-i", f"color=size=32x32:rate=25:duration={seconds}"]
    command = [ffmpeg, "-nostdin", "-v", "error", *picture, *audio, "-y", f"file:{path}"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def tone(offset: float = 0.0, seconds: float = 1.0) -> list[str]:
    return ["-itsoffset", str(offset), "-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"]


def test_sound_is_read_from_a_video_whatever_its_name(ffmpeg: str, tmp_path: Path) -> None:
    read = clip_sound(write_clip(ffmpeg, tmp_path / "-it's a: ünïcode\nname.mkv", *tone()))
    assert len(read.samples) == pytest.approx(RATE, abs=0.05 * RATE)
    assert read.duration == pytest.approx(1.0, abs=0.1)
    assert np.abs(read.samples).max() > 1000


def test_sound_that_starts_late_is_led_in_by_silence(ffmpeg: str, tmp_path: Path) -> None:
    read = clip_sound(write_clip(ffmpeg, tmp_path / "late.mkv", *tone(0.5, 0.5)))
    loud = np.flatnonzero(np.abs(read.samples) > 500)
    assert loud[0] / RATE == pytest.approx(0.5, abs=0.05)


def test_what_has_no_sound_is_a_reason(ffmpeg: str, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "pictures").mkdir()
    write_clip(ffmpeg, tmp_path / "mute.mp4")
    write_clip(ffmpeg, tmp_path / "long.mkv", *tone(), seconds=61)
    kinds = {}
    for name in ("text.mp4", "empty.mp4", "pictures", "mute.mp4", "long.mkv"):
        with pytest.raises(CannotAlign) as reason:
            clip_sound(tmp_path / name)
        kinds[name] = reason.value.kind
    assert kinds == {
        "text.mp4": "not a video",
        "empty.mp4": "empty file",
        "pictures": "no audio",
        "mute.mp4": "no audio",
        "long.mkv": "too long",
    }
