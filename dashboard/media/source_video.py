"""The video that a clip was cropped from, with its sound, as every browser plays it: H.264 and AAC in MP4.

A store says where its videos lay (`source_root`) and which of them a clip is (`source`). Both were written by
whoever made the store, so nothing is opened that does not lie below `source_root` when all links are followed,
and nothing but that file is read: no play list, no address.
"""

import hashlib
import re
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np

from dashboard.media.clip_video import forget_oldest
from lipkd.data.store import Clip, ClipStore
from lipkd.files import write_atomic
from preprocessing.rejects import BadClip
from preprocessing.video.mouth_clips import picture_width
from preprocessing.video.resample import FPS, video_pictures
from preprocessing.video.sound import Samples, has_sound, read_sound

TALLEST = 480  # lines; faces are watched beside their mouth, not in a cinema
WIDEST_CROP = 200  # pixels: a silent video that is no wider shows the mouth and nothing else
PATIENCE = 60  # seconds
SOUND_RATE = 44100  # samples/s
SETTINGS = "2"  # of the encoding: another number is another file in the cache
H264 = {"preset": "veryfast", "crf": "20"}


@dataclass(frozen=True)
class SourceVideo:
    """A clip of the original video: an MP4 file, and whether it has sound."""

    content: bytes
    sound: bool


@dataclass(frozen=True)
class NoVideo:
    """Why there is no original video to show; an empty reason when there is nothing to tell."""

    reason: str = ""


def source_video(store: ClipStore, clip: Clip, cache: Path) -> SourceVideo | NoVideo:
    """The part of the original video that `clip` is, from the cache when it was encoded before."""
    path = source_path(store, clip)
    if path is None:
        return NoVideo()
    stat = path.stat()
    key = f"{path}\n{stat.st_mtime_ns}\n{stat.st_size}\n{begin(clip)}\n{clip.n_frames}\n{clip.fps}\n{SETTINGS}"
    name = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
    known = [SourceVideo(kept.read_bytes(), sound) for kept, sound in _kept(cache, name) if kept.is_file()]
    if known:
        return known[0]
    try:
        sound, width = has_sound(path), picture_width(path)
    except BadClip:
        return NoVideo("The original video cannot be read; here is the mouth alone.")
    if width <= WIDEST_CROP and not sound:
        return NoVideo()
    target = next(kept for kept, with_sound in _kept(cache, name) if with_sound == sound)
    try:
        write_atomic(target, lambda to: encode_mp4(path, to, begin=begin(clip), frames=clip.n_frames, fps=clip.fps))
    except (OSError, BadClip):
        return NoVideo("The original video cannot be converted; here is the mouth alone.")
    forget_oldest(cache)
    return SourceVideo(target.read_bytes(), sound)


def source_path(store: ClipStore, clip: Clip) -> Path | None:
    """The file that the clip was cropped from; None when it is not there or not below the store's `source_root`."""
    root = str(store.meta.get("source_root") or "")
    if not root or not clip.source or not Path(root).is_absolute():
        return None
    try:
        inside = Path(root).resolve(strict=True)
        path = (inside / clip.source).resolve(strict=True)
        return path if path.is_file() and path.is_relative_to(inside) else None
    except (OSError, ValueError, RuntimeError):  # not there, a NUL in the name, links in a circle
        return None


def begin(clip: Clip) -> float:
    """Where in its video the clip begins, in seconds: a clip that is a part of one is called `…/STEM@SECONDS`."""
    stem = re.escape(Path(clip.source).stem)
    found = re.search(rf"(?:^|/){stem}@(\d+(?:\.\d+)?)$", clip.id)
    return float(found[1]) if found else 0.0


def _kept(cache: Path, name: str) -> list[tuple[Path, bool]]:
    """The two names that an encoded video may have, and whether it then has sound."""
    return [(cache / f"{name}.sound.mp4", True), (cache / f"{name}.mp4", False)]


def encode_mp4(path: Path, target: Path, *, begin: float, frames: int, fps: float) -> None:
    """So many pictures of a video, from its second `begin` after the first picture on, and the sound to them.

    The pictures are those that `lipkd prepare` takes, so that words and subtitles fit them. Raises BadClip when the
    video cannot be read, OSError (FFmpeg's errors are such) when it cannot be written or takes longer than PATIENCE.
    """
    deadline = time.monotonic() + PATIENCE
    span = (begin, begin + frames / fps) if begin else None
    samples = read_sound(path, span, rate=SOUND_RATE).samples if has_sound(path) else None
    pictures = islice(video_pictures(path, span), round(frames / fps * FPS))
    with av.open(f"file:{target}", "w", format="mp4", options={"movflags": "+faststart"}) as container:
        shown = container.add_stream("libx264", rate=round(FPS), options=H264)
        shown.pix_fmt = "yuv420p"
        shown.gop_size = round(FPS / 2)  # so that a step back is quick
        heard = None if samples is None else container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            if number == 0:
                shown.width, shown.height = playable_size(frame.width, frame.height)
            container.mux(shown.encode(frame.reformat(shown.width, shown.height, "yuv420p", interpolation="BICUBIC")))
            if heard is not None and samples is not None:
                container.mux(heard.encode(_sound_of(samples, number)))
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} takes longer than {PATIENCE} s")
        container.mux(shown.encode())
        if heard is not None:
            container.mux(heard.encode())


def playable_size(width: int, height: int) -> tuple[int, int]:
    """Width and height, at most TALLEST high, of even sides, as 4:2:0 wants."""
    tall = min(TALLEST, height // 2 * 2)
    return max(2, 2 * round(width * tall / height / 2)), max(2, tall)


def _sound_of(samples: Samples, number: int) -> av.AudioFrame:
    """The samples (int16, mono, at SOUND_RATE) that belong to picture `number`; silence after their end."""
    first, end = round(number * SOUND_RATE / FPS), round((number + 1) * SOUND_RATE / FPS)
    piece = samples[first:end]
    frame = av.AudioFrame.from_ndarray(np.pad(piece, (0, end - first - len(piece)))[None], "s16", "mono")
    frame.sample_rate, frame.pts = SOUND_RATE, first
    return frame
