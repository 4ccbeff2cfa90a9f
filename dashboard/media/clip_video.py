"""Frames of a clip as a video that browsers play: VP8 in WebM, by PyAV's own encoder.

Encoded twice as large as the crop, because VP8 halves the resolution of colour; the browser scales the
rest of the way. 100 frames of 100×50 take 0.08 s and 115 kB, at 40 dB.
"""

import contextlib
import hashlib
import io
import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from lipkd.data.store import Clip, ClipStore, Frames
from lipkd.files import write_atomic

SCALE = 2
KEPT = 500  # encoded clips in the cache folder
KEPT_BYTES = 500_000_000
BITS_PER_S = 4_000_000
ENCODING = {"deadline": "good", "cpu-used": "4", "crf": "8"}


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
    """Frames (T, H, W, C), C = 3 (RGB) or 1 (grey), as a WebM file."""
    height, width = (SCALE * side for side in frames.shape[1:3])
    content = io.BytesIO()
    with av.open(content, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=Fraction(fps).limit_denominator(1001), options=ENCODING)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", BITS_PER_S
        for frame in frames:
            rgb = frame if frame.shape[2] == 3 else np.repeat(frame, 3, axis=2)
            enlarged = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(enlarged, format="rgb24")))
        container.mux(stream.encode())
    return content.getvalue()


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
