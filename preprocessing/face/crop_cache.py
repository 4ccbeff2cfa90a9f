"""Crops of faces that an unfinished run has made already, one file per clip, whole or absent."""

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lipkd.data.store import Frames
from lipkd.files import write_atomic
from preprocessing.corpus.source import Source
from preprocessing.face.crop import CropOptions, crop_mouth
from preprocessing.rejects import BadClip
from preprocessing.video.array_file import map_clip
from preprocessing.video.video_file import check_file

RECIPE = 2  # counts up when the same video gives other crops
Seen = dict[str, Any]


@dataclass(frozen=True)
class FaceCache:
    """Makes crops with the model file `bundle` and keeps them in `folder`.

    A file's name is the digest of all that the crop depends on: the video (by path, size and time of change), the
    span, the options, the model's `bundle_digest` and RECIPE. So what is stale is never found.
    """

    folder: Path
    options: CropOptions
    bundle: Path
    bundle_digest: str

    def has(self, source: Source) -> bool:
        """Whether the clip is there already."""
        return self._path(source).is_file()

    def crop(self, source: Source) -> tuple[Frames, Seen]:
        """The crops (T, height, width, 3) RGB of a clip and what was seen; raises BadClip, the same at every call."""
        if not source.path.is_dir():
            check_file(source.path)  # not kept: permissions may change without a trace in the file
        path = self._path(source)
        kept = _load(path)
        if kept is None:
            kept = self._make(source)
            write_atomic(path, lambda temporary: temporary.write_bytes(_pack(*kept)))
        frames, seen = kept
        if "bad" in seen:
            raise BadClip(*seen["bad"])
        return frames, seen

    def _make(self, source: Source) -> tuple[Frames, Seen]:
        try:
            return crop_mouth(source.path, source.span, self.options, self.bundle)
        except BadClip as bad:
            return np.empty((0, *self.options.size, 3), np.uint8), {"bad": [bad.kind, bad.detail]}

    def _path(self, source: Source) -> Path:
        try:
            status = source.path.stat()
            version = [status.st_size, status.st_mtime_ns]
        except OSError:
            version = []
        made_from = [RECIPE, str(source.path), version, source.span, asdict(self.options), self.bundle_digest]
        return self.folder / f"{hashlib.sha256(json.dumps(made_from).encode()).hexdigest()}.crop"


def _pack(frames: Frames, seen: Seen) -> bytes:
    """An .npy with a line of JSON before it."""
    content = io.BytesIO()
    content.write(json.dumps(seen).encode() + b"\n")
    np.save(content, frames, allow_pickle=False)
    return content.getvalue()


def _load(path: Path) -> tuple[Frames, Seen] | None:
    """What `_pack` wrote; None when it is not there or not whole."""
    try:
        with open(path, "rb") as file:
            seen = json.loads(file.readline())
            at = file.tell()
        return (np.empty((0, 0, 0, 3), np.uint8) if "bad" in seen else np.array(map_clip(path, at))), seen
    except (OSError, ValueError, TypeError, RecursionError, BadClip):
        return None
