"""A video of any frame rate as pictures at 25 frames/s, by time stamps.

Output picture k stands for the time k / 25 s after the first frame (or after the span's start); it is the
source frame whose time stamp is nearest. So 25 frames/s come through one to one, 50 are halved, 12.5
doubled, and a variable rate keeps its timing. OpenCV's FFmpeg decodes, in this process: it needs no
second program, turns pictures as their rotation flag says, and costs 0.3 ms a frame of 360×288.
"""

import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocessing.rejects import BadClip
from preprocessing.video.containers import ONLY_THIS_FILE
from preprocessing.video.image_folder import FPS
from preprocessing.video.quiet_cv2 import cv2

Picture = NDArray[np.uint8]  # (h, w, 3), BGR
Span = tuple[float, float]  # seconds: start, end
# Containers without a count of their frames: FFmpeg estimates it from times or the file's size.
ESTIMATED_LENGTH = frozenset((".mpg", ".mpeg", ".mkv", ".webm", ".flv", ".ogv", ".ts", ".mts"))
ESTIMATE_SHARE = 0.9  # fewer frames than this share of the estimate: the end is missing
MOST_BOXES = 10  # of an MP4, before its first fragment
SLOWEST = 10.0  # frames/s; lips move faster than that
LONGEST_GAP_S = 1.0  # between two time stamps
LONGEST_S = 300.0
PROBE_S = 20.0
EPSILON = 1e-6  # ticks; times are sums of fractions


def video_pictures(path: Path, span: Span | None = None) -> Iterator[Picture]:
    """Yield BGR pictures at 25 frames/s, of the whole video or of `span`.

    Raises BadClip: not a readable file, no pictures in it, damaged or cut off, under 10 frames/s, a hole
    of over a second, longer than five minutes, or a span that reaches beyond the end.
    """
    check_file(path)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        if not capture.isOpened():
            raise why_unreadable(path)
        start, end = span or (0.0, float("inf"))
        tick = 0
        previous: Picture | None = None
        first, before, step = start, start, 1 / FPS
        for time, picture in _timed(capture, path, start, end):
            if previous is not None:
                step = time - before
                while tick < min((before + time) / 2 - first, end - start) * FPS - EPSILON:
                    yield previous
                    tick += 1
            elif span is None:
                first = time
            previous, before = picture, time
        if previous is None:
            raise BadClip("span outside the video", f"no frame from {start:g} s on")
        for _ in range(tick, round(min(before - first + step, end - start) * FPS)):
            yield previous
    except cv2.error as error:
        raise BadClip("unreadable video", " ".join(str(error).split())) from error
    finally:
        capture.release()


def _timed(capture: cv2.VideoCapture, path: Path, start: float, end: float) -> Iterator[tuple[float, Picture]]:
    """Yield (seconds, picture) of every frame that may matter between `start` and `end`; check what was promised."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    if not fps >= SLOWEST:  # or no number at all
        raise BadClip("frame rate too low", f"{fps:g} frames/s, at least {SLOWEST:g} are needed")
    promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    count, time, first = 0, -1 / fps, 0.0
    while capture.grab():
        stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        now = stamp if stamp > time else time + 1 / fps  # streams without time stamps, or with a wrong one
        first = first if count else now
        if count and now - time > LONGEST_GAP_S:
            raise BadClip("hole in the video", f"no frame from {time:.2f} s to {now:.2f} s")
        time, count = now, count + 1
        if time > min(end, start + LONGEST_S) + 1 / FPS:
            break
        if time > start - 1 / FPS and (read := capture.retrieve())[0]:
            yield time, read[1].astype(np.uint8, copy=False)
    else:
        if count == 0:
            raise BadClip("empty video", "not one frame can be decoded")
        # An estimate takes the rate for constant: a camera that slowed down in the dark took fewer, and as long.
        there = max(count, (time - first) * fps + 1)
        if count < promised and (there < promised * ESTIMATE_SHARE or not _is_estimated(path)):
            raise BadClip("truncated video", f"{count} of {promised} frames can be decoded")
        if end < float("inf") and time + 2 / fps < end:
            raise BadClip("span outside the video", f"it ends at {time + 1 / fps:.2f} s, the span at {end:g} s")
    if min(end, time) - start > LONGEST_S:
        raise BadClip("too long", f"over {LONGEST_S:g} s; cut it with start and end in a table of clips")


def _is_estimated(path: Path) -> bool:
    """Whether the count of frames is FFmpeg's estimate: by the container, or for an MP4 that was written in fragments,
    whose index counts nothing."""
    if path.suffix.lower() in ESTIMATED_LENGTH:
        return True
    at = 0
    with open(path, "rb") as file:
        for _ in range(MOST_BOXES):
            file.seek(at)
            head = file.read(16)
            if head[4:8] == b"moof":
                return True
            length = int.from_bytes(head[8:16] if head[:4] == b"\0\0\0\1" else head[:4])
            if length < 8:  # to the end, or no box at all
                return False
            at += length
    return False


def check_file(path: Path) -> None:
    """Raise BadClip unless `path` is a file with something in it that we may read."""
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size:
            path.open("rb").close()
    except OSError as error:
        raise BadClip("unreadable file", error.strerror or str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise BadClip("not a file", "a folder, pipe or device where a video should be")
    if status.st_size == 0:
        raise BadClip("empty file", "0 bytes")


def why_unreadable(path: Path) -> BadClip:
    """What is wrong with a file that OpenCV cannot open; ffprobe knows more, where it is installed."""
    nothing = BadClip("unreadable video", "no picture stream that can be decoded")
    if (ffprobe := shutil.which("ffprobe")) is None:
        return nothing
    command = [ffprobe, "-v", "error", *ONLY_THIS_FILE, "-show_entries", "stream=codec_type", "-of", "json"]
    try:
        ran = subprocess.run(
            [*command, f"file:{path}"], capture_output=True, timeout=PROBE_S, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return nothing
    complaint = ran.stderr.decode(errors="replace")
    with open(path, "rb") as file:
        begins_as_mp4 = file.read(8)[4:] == b"ftyp"
    if begins_as_mp4 and "moov atom not found" in complaint:
        return BadClip("truncated video", "its index, at the end of the file, is missing")
    if ran.returncode != 0:
        return BadClip("not a video", "no known format")
    kinds = {stream.get("codec_type") for stream in json.loads(ran.stdout or b"{}").get("streams", [])}
    if kinds and "video" not in kinds:
        return BadClip("no pictures", f"only {' and '.join(sorted(map(str, kinds)))}")
    return nothing
