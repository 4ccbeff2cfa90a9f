"""The video that a clip was cropped from, with its sound, as every browser plays it: H.264 and AAC in MP4.

A store says where its videos lay (`source_root`) and which of them a clip is (`source`). Both were written by
whoever made the store, so nothing is opened that does not lie below `source_root` when all links are followed,
and FFmpeg may read nothing but that file: no play list, no address.
"""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dashboard.media.clip_video import forget_oldest
from lipkd.data.store import Clip, ClipStore
from lipkd.files import write_atomic
from preprocessing.video.containers import ONLY_THIS_FILE

TALLEST = 480  # lines; faces are watched beside their mouth, not in a cinema
WIDEST_CROP = 200  # pixels: a silent video that is no wider shows the mouth and nothing else
PATIENCE = 60  # seconds
SETTINGS = "1"  # of the encoding: another number is another file in the cache


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
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        return NoVideo("The whole face and its sound need FFmpeg (`apt-get install ffmpeg`); here is the mouth alone.")
    stat = path.stat()
    key = f"{path}\n{stat.st_mtime_ns}\n{stat.st_size}\n{begin(clip)}\n{clip.n_frames}\n{clip.fps}\n{SETTINGS}"
    name = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
    known = [SourceVideo(kept.read_bytes(), sound) for kept, sound in _kept(cache, name) if kept.is_file()]
    if known:
        return known[0]
    streams = streams_of(path)
    sound = any(stream.get("codec_type") == "audio" for stream in streams)
    widths = [int(stream.get("width", 0)) for stream in streams if stream.get("codec_type") == "video"]
    if not widths:
        return NoVideo("The original video cannot be read by FFmpeg; here is the mouth alone.")
    if max(widths) <= WIDEST_CROP and not sound:
        return NoVideo()
    target = next(kept for kept, with_sound in _kept(cache, name) if with_sound == sound)
    try:
        write_atomic(target, lambda to: encode_mp4(path, to, begin=begin(clip), frames=clip.n_frames, fps=clip.fps))
    except (OSError, subprocess.SubprocessError):
        return NoVideo("FFmpeg could not convert the original video; here is the mouth alone.")
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


def streams_of(path: Path) -> list[dict[str, str]]:
    """The `codec_type` and `width` of every stream of a file; none when FFmpeg cannot read it."""
    wanted = ("-show_entries", "stream=codec_type,width", "-of", "json")
    called = ["ffprobe", "-v", "error", *ONLY_THIS_FILE, *wanted, f"file:{path}"]
    try:
        ran = subprocess.run(called, capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL, check=True)
        return list(json.loads(ran.stdout).get("streams", []))
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def encode_mp4(path: Path, target: Path, *, begin: float, frames: int, fps: float) -> None:
    """So many pictures of a video, one every 1/fps seconds from its second `begin`, and the sound to them.

    Raises OSError or subprocess.SubprocessError when FFmpeg fails or takes longer than PATIENCE.
    """
    called = ["ffmpeg", "-v", "error", "-nostdin", "-y", *ONLY_THIS_FILE]
    called += ["-ss", f"{begin:.3f}", "-t", f"{frames / fps:.3f}", "-i", f"file:{path}"]
    # Even sides, as 4:2:0 wants; a key picture twice a second, so that a step back is quick.
    size = f"scale=-2:'min({TALLEST},trunc(ih/2)*2)'"
    called += ["-map", "0:v:0", "-map", "0:a:0?", "-vf", f"fps={fps:g},{size}", "-frames:v", str(frames)]
    called += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"]
    called += ["-g", str(max(round(fps / 2), 1)), "-c:a", "aac", "-b:a", "96k", "-ac", "2"]
    called += ["-map_metadata", "-1", "-movflags", "+faststart", "-f", "mp4", f"file:{target}"]
    subprocess.run(called, capture_output=True, timeout=PATIENCE, check=True)
