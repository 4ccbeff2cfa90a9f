"""The synthetic corpus: speakers who say commands, as mouth clips with word alignments.

    OUT/mouth/s1/c000.mp4   or   OUT/mouth/s1/c000/mouth_000.png …      and      OUT/align/s1/c000.align

The same arguments give the same bytes, pictures and videos alike. Every clip is drawn from a random
stream of its own (seed, speaker, clip), so a corpus with more clips begins with the clips of a smaller one.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from lipkd.data.store import Frames
from lipkd.errors import LipkdError
from preprocessing.corpus.align_file import write_align
from preprocessing.synthetic.draw_mouth import Speaker, draw_mouth, draw_speaker
from preprocessing.synthetic.sentences import Spoken, draw_sentence, speak
from preprocessing.synthetic.visemes import mouth_shapes
from preprocessing.video.resample import FPS

Form = Literal["video", "frames", "both"]
MOST_SPEAKERS, MOST_CLIPS = 1000, 10_000
FOLDERS_WHEN_BOTH = 3  # clips of the first speaker that are written as pictures


@dataclass(frozen=True)
class Corpus:
    """What was written: the folder that `prepare` reads, the speakers, and the counts."""

    path: Path
    speakers: tuple[str, ...]
    clips: int
    frames: int


def make_corpus(
    out: Path,
    *,
    speakers: int = 6,
    clips: int = 60,
    seed: int = 0,
    form: Form = "video",
    on_progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """Write a corpus of `speakers` × `clips` clips to the new folder `out`.

    `form`: clips as MPEG-4 videos, as folders of PNG pictures, or as videos except for the first clips
    of the first speaker, which are folders. `on_progress(done, total)` is called after every clip.
    Raises LipkdError when `out` exists or a number is out of range; nothing is left under `out` then.
    """
    for name, value, least, most in (
        ("speakers", speakers, 1, MOST_SPEAKERS),
        ("clips", clips, 1, MOST_CLIPS),
        ("seed", seed, 0, 2**31 - 1),
    ):
        if not least <= value <= most:
            raise LipkdError(f"{name} = {value}: must be from {least} to {most}")
    out = out.expanduser().absolute()
    if out.exists():
        raise LipkdError(f"synthetic corpus {out}: already exists; remove it or choose another name")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    frames_written = 0
    for s in range(speakers):
        name = f"s{s + 1}"
        for c in range(clips):
            spoken, frames = draw_clip(seed, s, c)
            write_align(partial / "align" / name / f"c{c:03d}.align", spoken.segments)
            as_pictures = form == "frames" or (form == "both" and s == 0 and c < FOLDERS_WHEN_BOTH)
            write = write_pictures if as_pictures else write_video
            write(partial / "mouth" / name / f"c{c:03d}", frames)
            frames_written += len(frames)
            if on_progress is not None:
                on_progress(s * clips + c + 1, speakers * clips)
    os.replace(partial, out)
    return Corpus(out, tuple(f"s{s + 1}" for s in range(speakers)), speakers * clips, frames_written)


def speaker_style(seed: int, speaker: int) -> Speaker:
    """The looks and the pace of a speaker (numbered from 0) of the corpus of that seed."""
    return draw_speaker(np.random.default_rng([seed, speaker]))


def draw_clip(seed: int, speaker: int, clip: int) -> tuple[Spoken, Frames]:
    """What is said in a clip (numbers from 0), and its frames (T, 50, 100, 3) RGB."""
    style = speaker_style(seed, speaker)
    rng = np.random.default_rng([seed, speaker, clip])
    spoken = speak(draw_sentence(rng), style.pace, rng)
    return spoken, draw_mouth(mouth_shapes(spoken), style, rng)


def write_pictures(folder: Path, frames: Frames) -> None:
    """Frames (T, H, W, 3) RGB as `mouth_000.png` … in a new folder; raises LipkdError when a write fails."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        path = folder / f"mouth_{number:03d}.png"
        if not cv2.imwrite(str(path), frame[:, :, ::-1]):
            raise LipkdError(f"{path}: the picture cannot be written")


def write_video(path: Path, frames: Frames) -> None:
    """Frames (T, H, W, 3) RGB as `path` + .mp4; raises LipkdError when it cannot be written.

    MPEG-4 part 2, by OpenCV's own encoder: there wherever the wheel is (H.264 would need an ffmpeg
    program), at about 34 dB with the noise counted as signal, and without dates in the file, so that
    equal frames give equal bytes.
    """
    path = path.with_name(path.name + ".mp4")
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), FPS, (width, height))
    if not writer.isOpened():
        raise LipkdError(f"{path}: the video cannot be written")
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
