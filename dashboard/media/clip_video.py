"""Frames of a clip as a video that browsers play: VP8 in WebM, written by OpenCV's wheel alone.

Encoded twice as large as the crop, because VP8 halves the resolution of colour; the browser scales the
rest of the way, and a larger picture took six times as long without looking different (measured: 100
frames of 100×50 take 0.3 s at 200×100, 1.7 s at 600×300).
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np

from lipkd.data.store import Clip, ClipStore, Frames
from lipkd.errors import LipkdError
from lipkd.files import write_atomic
from preprocessing.video.quiet_cv2 import cv2

SCALE = 2
KEPT = 500  # encoded clips in the cache folder
KEPT_BYTES = 500_000_000
# OpenCV complains on stderr of every .webm, but not of Matroska, whose subset WebM is: so the name of the
# format in the file's head is changed instead ("matroska" → "webm" and four bytes of padding, a Void element).
MATROSKA, WEBM = b"\x42\x82\x88matroska", b"\x42\x82\x84webm\xec\x82\x00\x00"


def cache_folder() -> Path:
    """Where encoded clips are kept: `lipkd/replay` in the user's cache folder, readable by nobody else."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lipkd" / "replay"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def clip_video(store: ClipStore, clip: Clip, cache: Path) -> bytes:
    """The clip as a WebM file, from the cache when it was encoded before.

    The file's name is a digest of store and clip id: an id is never part of a path.
    """
    key = f"{store.meta['digest']}\n{clip.id}\n{SCALE}"
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.webm"
    if not path.is_file():
        video = encode(store.read(clip), clip.fps)
        write_atomic(path, lambda temporary: temporary.write_bytes(video))
        forget_oldest(cache)
    return path.read_bytes()


def encode(frames: Frames, fps: float) -> bytes:
    """Frames (T, H, W, C), C = 3 (RGB) or 1 (grey), as a WebM file; raises LipkdError when OpenCV cannot."""
    height, width = (SCALE * side for side in frames.shape[1:3])
    with tempfile.TemporaryDirectory(prefix="lipkd-") as folder:
        path = Path(folder) / "clip.mkv"
        codec = cv2.VideoWriter.fourcc(*"VP80")
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, fps, (width, height))
        if not writer.isOpened():
            raise LipkdError("the video cannot be shown: this OpenCV writes no VP8; install the opencv-python wheel")
        for frame in frames:
            rgb = frame if frame.shape[2] == 3 else np.repeat(frame, 3, axis=2)
            writer.write(cv2.resize(rgb[..., ::-1], (width, height), interpolation=cv2.INTER_CUBIC))
        writer.release()
        return path.read_bytes().replace(MATROSKA, WEBM, 1)


def crop_sheet(frames: Frames, columns: int) -> bytes:
    """All frames (T, H, W, C) of a clip in one JPEG, `columns` in a row: a page can show any of them at once."""
    count, height, width, channels = frames.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width, channels), np.uint8)
    sheet[:count] = frames
    picture = sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    picture = picture.reshape(rows * height, columns * width, channels)[..., ::-1]
    done, content = cv2.imencode(".jpg", np.ascontiguousarray(picture), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return bytes(content)


def forget_oldest(cache: Path) -> None:
    """Delete the videos that were encoded first, until at most KEPT of them and KEPT_BYTES are left."""
    found = []
    for path in (*cache.glob("*.webm"), *cache.glob("*.mp4")):
        with contextlib.suppress(FileNotFoundError):  # another session was quicker
            stat = path.stat()
            found.append((stat.st_mtime, stat.st_size, path))
    total = 0
    for number, (_, size, path) in enumerate(sorted(found, reverse=True)):
        total += size
        if number >= KEPT or total > KEPT_BYTES:
            path.unlink(missing_ok=True)
