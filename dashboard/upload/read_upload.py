"""A video that somebody brings along, read by a deployed model: in a process of its own, and kept nowhere.

Such videos show people and come from strangers. They lie in a temporary folder under a name of ours while they are
read, and nowhere afterwards; decoders (C and C++) meet them in `dashboard.upload.worker` only, which may crash, hang
or be killed without harm to the dashboard.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.server_settings import MOST_MB
from lipkd.ctc.hypothesis import Hypothesis, Word
from lipkd.data.store import Frames
from lipkd.errors import LipkdError

TYPES = ("mp4", "mov", "mpg", "mpeg", "avi", "mkv", "webm")
LONGEST_S = 60  # of a video
PATIENCE_S = 180.0  # with its reading
AT_A_TIME = 2  # videos; others wait
ANSWER, FRAMES, POSTERIORS, FACE = "answer.json", "frames.npy", "posteriors.npy", "face.mp4"
log = logging.getLogger(__name__)
_turns = threading.BoundedSemaphore(AT_A_TIME)


@dataclass(frozen=True)
class UploadResult:
    """A model's hypothesis of a video, and what it was made from.

    `frames` (T, H, W, C) are the mouth crops, at `fps`; `posteriors` (1, T, V) belong to `symbols`, the
    blank first. `face` is the video as MP4, None where there is only a mouth to show, for the reason in `note`.
    """

    hypothesis: Hypothesis
    srt: str
    vtt: str
    symbols: tuple[str, ...]
    posteriors: NDArray[np.float16]
    frames: Frames
    fps: float
    face: bytes | None
    sound: bool
    note: str


def read_upload(name: str, content: bytes, model: Path, *, patience: float = PATIENCE_S) -> UploadResult:
    """Read a video with the model in the folder `model`; of the video's `name` nothing but the end counts.

    Raises LipkdError when it is no video that can be read, or reading it takes longer than `patience` seconds.
    """
    suffix = PurePosixPath(name).suffix.lower().removeprefix(".")
    if suffix not in TYPES:
        raise LipkdError(f"This is not one of the videos that can be read: {', '.join(TYPES)}.")
    if not content:
        raise LipkdError("The video is empty: it has 0 bytes.")
    if len(content) > MOST_MB * 2**20:
        raise LipkdError(f"The video is too large: up to {MOST_MB} MB are read.")
    if not _turns.acquire(timeout=patience):
        raise LipkdError("Other videos are being read: please try again in a minute.")
    try:
        with tempfile.TemporaryDirectory(prefix="lipkd-try-", ignore_cleanup_errors=True) as folder:
            video = Path(folder) / f"video.{suffix}"
            video.write_bytes(content)
            _work(video, model, patience)
            return _result(Path(folder))
    finally:
        _turns.release()


def _work(video: Path, model: Path, patience: float) -> None:
    """Let the worker read the video; raises LipkdError when that takes too long, or the dashboard is closed."""
    called = [sys.executable, "-P", "-m", "dashboard.upload.worker", str(video), str(model.absolute())]
    nowhere = subprocess.DEVNULL
    # Its input says nothing: it ends when we do.
    worker = subprocess.Popen(
        called, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, env=environment(), start_new_session=True
    )
    try:
        end = time.monotonic() + patience
        while worker.poll() is None:
            if time.monotonic() > end:
                raise LipkdError(
                    f"Reading the video took longer than {patience:g} seconds: try a shorter or smaller one."
                )
            if not threading.main_thread().is_alive():
                raise LipkdError("The dashboard is being closed.")
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):  # itself, and what it has called
            os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate()


def environment() -> Mapping[str, str]:
    """The worker's: this package is found, and no other file is opened than the video."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    return dict(os.environ) | {"PYTHONPATH": path}


def _result(folder: Path) -> UploadResult:
    try:
        answer: dict[str, Any] = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LipkdError("The video cannot be read: the decoder crashed on it.") from None
    if "error" in answer:
        raise LipkdError(f"The video cannot be read: {answer['error']}")
    if "fault" in answer:
        log.error("the reading of a video failed\n%s", answer["fault"])
        raise RuntimeError("the reading of a video failed")
    found, face = answer["hypothesis"], folder / FACE
    return UploadResult(
        hypothesis=Hypothesis(**found | {"words": tuple(Word(**word) for word in found["words"])}),
        srt=answer["srt"],
        vtt=answer["vtt"],
        symbols=("blank", *answer["alphabet"]),
        posteriors=np.load(folder / POSTERIORS),
        frames=np.load(folder / FRAMES),
        fps=answer["fps"],
        face=face.read_bytes() if answer["face"] else None,
        sound=answer["sound"],
        note=answer["note"],
    )
