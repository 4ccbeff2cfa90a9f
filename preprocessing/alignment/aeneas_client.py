"""The adapter to aeneas: starts preprocessing/alignment/aeneas_worker.py with another interpreter and talks JSON lines.

aeneas is AGPL, unmaintained, and full of C. So it stays a separate program behind a pipe: nothing of it
is loaded here, and nothing it does can take this process down. One such program serves many clips, which
saves the start of an interpreter for each.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import wave
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipkd.errors import LipkdError
from preprocessing.alignment.audio import RATE
from preprocessing.rejects import CannotAlign
from preprocessing.video.sound import Samples

WORKER = Path(__file__).with_name("aeneas_worker.py")
PATIENCE = 120.0  # seconds for one clip
INSTALL = {
    "aeneas": "lipkd align needs aeneas, which is not installed: pip install 'lipkd[align]' (see the Makefile)",
    "espeak": "lipkd align needs espeak, which is not installed: apt install espeak",
}


class Aligner:
    """A running aeneas for one language; use as a context manager, from one thread at a time.

    Raises LipkdError when aeneas or espeak is missing or espeak lacks the language (ISO 639-3 like `eng`,
    `ita`, or a voice of espeak like `en-us`).
    """

    def __init__(self, language: str, *, worker: Sequence[str] = (sys.executable, "-I", str(WORKER))) -> None:
        self.command = [*worker, language]
        self.language = language
        self.scratch = tempfile.TemporaryDirectory(prefix="lipkd-align-")
        self.process = self._spawn()
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            cwd=self.scratch.name,
            start_new_session=True,  # so that it can be killed with the child that aligns
        )

    def _greet(self) -> None:
        first = self._read() or {"error": "aeneas did not start"}
        if "ready" not in first:
            fault = f"language {self.language!r}: {first.get('error')}"
            raise LipkdError(INSTALL.get(first.get("missing", ""), fault))

    def _read(self) -> dict[str, Any] | None:
        """The next reply; None when the program has died or had to be killed."""
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self._kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        return json.loads(line) if line else None

    def align(self, samples: Samples, words: Sequence[str]) -> NDArray[np.float64]:
        """Boundaries of `words` in `samples`, in seconds, (len(words) + 1,); `samples` hold speech from end to end.

        Raises CannotAlign with the reason.
        """
        path = Path(self.scratch.name) / "speech.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.astype("<i2").tobytes())
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"audio": str(path), "words": list(words)}) + "\n")
            self.process.stdin.flush()
            answer = self._read()
        except BrokenPipeError:
            answer = None
        if answer is None:
            self._stop()
            self.process = self._spawn()
            self._greet()
            raise CannotAlign("aeneas failed", f"it crashed or took longer than {PATIENCE:.0f} s")
        if "error" in answer:
            raise CannotAlign("aeneas failed", " ".join(answer["error"].split()))
        return np.array(answer["times"])

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _stop(self) -> None:
        self._kill()
        self.process.communicate()

    def close(self) -> None:
        """End the program and remove its scratch folder."""
        self._stop()
        self.scratch.cleanup()

    def __enter__(self) -> "Aligner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
