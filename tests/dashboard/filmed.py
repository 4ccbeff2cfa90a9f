"""A store whose clips come from videos of whole "faces" with sound: FFmpeg's test picture and a tone."""

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipkd.data.store import ClipStore, Frames, StoreWriter

FRAMES, FPS, HEIGHT, WIDTH = 25, 25.0, 24, 48
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def film(path: Path, *more: str, size: str = "320x240", tone: bool = True, seconds: float = 1.0) -> Path:
    """A video in the container that its name says; `more` are options of FFmpeg for the output."""
    path.parent.mkdir(parents=True, exist_ok=True)
    called = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
    called += ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=25:duration={seconds}"]
    called += ["-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"] if tone else []
    subprocess.run([*called, *more, str(path)], check=True, capture_output=True)
    return path


def show_to_camera(path: Path, frames: Frames) -> Path:
    """RGB pictures (T, H, W, 3) at 25 frames/s as raw video, which Chromium takes for what its camera sees."""
    height, width = frames.shape[1:3]
    planes = [b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes() for frame in frames]
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode() + b"".join(planes))
    return path


def frames_of(content: bytes, folder: Path) -> list[np.ndarray]:
    """The decoded frames of a video."""
    path = folder / "decoded"
    path.write_bytes(content)
    capture = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    while True:
        there, frame = capture.read()
        if not there:
            return frames
        frames.append(frame)


def store_of(path: Path, root: Path, sources: dict[str, str]) -> ClipStore:
    """A store below `path` with a clip per id, cropped from the source of that name below `root`. Frame number k
    of every clip is k·10 grey."""
    frames = np.repeat(np.arange(FRAMES, dtype=np.uint8) * 10, HEIGHT * WIDTH * 3).reshape(FRAMES, HEIGHT, WIDTH, 3)
    with StoreWriter(path, height=HEIGHT, width=WIDTH, channels=3, source_root=str(root)) as writer:
        for clip_id, source in sources.items():
            words = [("sil", 0, 5), ("bin", 5, 12), ("red", 12, 20), ("sil", 20, 25)]
            speaker = clip_id.partition("/")[0]
            writer.add(frames, id=clip_id, speaker=speaker, fps=FPS, text="bin red", words=words, source=source)
        return writer.close()
