"""The sound of a clip: taken from the video with FFmpeg, and where in it somebody speaks."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipkd.errors import LipkdError
from preprocessing.rejects import CannotAlign
from preprocessing.video.containers import ONLY_THIS_FILE

Samples = NDArray[np.int16]
RATE = 22050  # samples/s: what espeak speaks at
STEP_SAMPLES = 220  # per level
STEP = STEP_SAMPLES / RATE  # seconds
PRE_EMPHASIS = 0.97  # rooms hum, consonants hiss
QUIETEST, LOUDEST = 10, 95  # percentiles of the levels: the room, and somebody speaking in it
SHARE = 0.35  # of the way from the room to the speech, in dB: above it is speech
CONTRAST = 6.0  # dB between room and speech; less is no speech
SHORTEST = 0.08  # seconds; a shorter burst alone is a click
PAUSE = 0.4  # seconds; bursts that close together belong together
UTTERANCE = 0.2  # seconds of speech; less, apart from the rest, is a cough
LEAD, TRAIL = 0.04, 0.03  # seconds of soft sounds before and after what is loud enough
LONGEST = 60.0  # seconds
PATIENCE = 120  # seconds for one call of FFmpeg


@dataclass(frozen=True)
class Sound:
    """Mono samples (N,) int16 at RATE, from the moment the picture starts; `duration` of the clip in seconds."""

    samples: Samples
    duration: float


def require_ffmpeg() -> None:
    """Raises LipkdError when ffmpeg or ffprobe is missing."""
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        raise LipkdError("lipkd align needs ffmpeg and ffprobe, which are not installed: apt install ffmpeg")


def read_sound(path: Path, span: tuple[float, float] | None = None) -> Sound:
    """The sound of a video, or of its seconds `span`; raises CannotAlign when there is none, it is damaged,
    or longer than LONGEST."""
    if not path.is_file():
        raise CannotAlign("no audio", "a folder of pictures has no sound")
    # file: because a name may look like a protocol or an option.
    probe = ["ffprobe", "-v", "error", *ONLY_THIS_FILE, "-show_streams", "-show_format", "-of", "json", f"file:{path}"]
    try:
        found = json.loads(_run(probe))
    except CannotAlign as error:
        raise CannotAlign("unreadable video", error.detail) from error
    streams = {stream.get("codec_type"): stream for stream in reversed(found.get("streams", []))}
    if "audio" not in streams:
        raise CannotAlign("no audio", "the video has no sound stream")
    duration = _duration(streams.get("video", {})) or _duration(found.get("format", {}))
    start, end = span or (0.0, duration or float("inf"))
    if duration is not None:
        duration = min(end, duration) - start
        if duration <= 0:
            raise CannotAlign("span outside the video", f"nothing is there from {start:g} s on")
    if duration is not None and duration > LONGEST:
        raise CannotAlign("too long", f"{duration:.0f} s, at most {LONGEST:.0f}: cut it into sentences")
    # Sound that starts after the picture is led in by silence, so that times are those of the picture.
    decode = ["ffmpeg", "-nostdin", "-v", "error", *ONLY_THIS_FILE, "-ss", str(start), "-i", f"file:{path}"]
    decode += ["-map", "0:a:0", "-t", str(min(end - start, LONGEST))]
    decode += ["-af", "aresample=async=1:first_pts=0", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    samples = np.frombuffer(_run(decode), "<i2").astype(np.int16)
    if len(samples) == 0:
        raise CannotAlign("no audio", "the sound stream is empty")
    return Sound(samples, duration or len(samples) / RATE)


def _duration(part: dict[str, Any]) -> float | None:
    try:
        return float(part["duration"])
    except (KeyError, ValueError):
        return None


def _run(command: list[str]) -> bytes:
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise CannotAlign("unreadable audio", f"{command[0]} took longer than {PATIENCE} s") from error
    if ran.returncode != 0:
        lines = ran.stderr.decode(errors="replace").strip().splitlines()
        raise CannotAlign("unreadable audio", lines[-1].replace("file:", "") if lines else f"{command[0]} failed")
    return ran.stdout


def find_speech(samples: Samples) -> tuple[float, float]:
    """Start and end of the speech, in seconds; raises CannotAlign when there is none.

    Bursts of sound well above the room's level, joined over short pauses; what is short and apart is
    left out.
    """
    levels = _levels(samples)
    if len(levels) == 0:
        raise CannotAlign("silence only", f"{len(samples) / RATE:.2f} s of sound")
    room, loud = np.percentile(levels, [QUIETEST, LOUDEST])
    if loud - room < CONTRAST:
        raise CannotAlign("silence only", f"nothing stands out by {CONTRAST:.0f} dB from the room's noise")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], levels > room + SHARE * (loud - room), [0]])))
    utterances: list[list[float]] = []  # start, end, seconds above the threshold
    for start, end in edges.reshape(-1, 2) * STEP:
        if end - start < SHORTEST - STEP / 2:
            continue
        if utterances and start - utterances[-1][1] <= PAUSE:
            utterances[-1][1:] = [end, utterances[-1][2] + end - start]
        else:
            utterances.append([start, end, end - start])
    spoken = [utterance for utterance in utterances if utterance[2] >= UTTERANCE - STEP / 2]
    if not spoken:
        raise CannotAlign("silence only", f"no sound of {UTTERANCE} s or longer")
    return max(0.0, spoken[0][0] - LEAD), min(len(samples) / RATE, spoken[-1][1] + TRAIL)


def _levels(samples: Samples) -> NDArray[np.float64]:
    """Level of the pre-emphasised sound in dB, one every STEP, smoothed over three; +1 keeps silence finite."""
    values = samples.astype(np.float64)
    values = np.append(values[:1], values[1:] - PRE_EMPHASIS * values[:-1])
    whole = values[: len(values) // STEP_SAMPLES * STEP_SAMPLES]
    powers = (whole.reshape(-1, STEP_SAMPLES) ** 2).mean(1) + 1
    if len(powers) == 0:
        return powers
    padded = np.pad(powers, 1, "edge")
    smooth: NDArray[np.float64] = 10 * np.log10((padded[:-2] + padded[1:-1] + padded[2:]) / 3)
    return smooth
