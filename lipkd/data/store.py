"""The clip store: all frames of a corpus in one memory-mapped array, with a manifest (docs/formats.md).

Reading a clip is a slice of the map; nothing decodes video while training.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipkd.errors import LipkdError
from lipkd.files import read_jsonl, write_json, write_jsonl

FORMAT = 1
HEADER_BYTES = 128  # of frames.npy: numpy pads a short header to this, so it can be rewritten in place
Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """One utterance. `words` holds (word, first frame, end frame), end exclusive, as given."""

    id: str
    speaker: str
    start: int
    n_frames: int
    fps: float
    text: str
    words: tuple[tuple[str, int, int], ...]
    source: str
    label: str | None = None

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Clip":
        """The clip of a manifest line; raises ValueError, TypeError or KeyError for what is none."""
        where = f"clip {row.get('id')!r}"
        known = {field.name for field in fields(cls)}
        if missing := known - {"label"} - row.keys():
            raise KeyError(sorted(missing)[0])
        if unknown := row.keys() - known:
            raise ValueError(f"{where}: no field is called {sorted(unknown)[0]!r}")
        words = row["words"]
        if not isinstance(words, list) or not all(_is_word(word) for word in words):
            raise ValueError(f"{where}: words must be a list of [word, first frame, end frame], frames in integers")
        clip = cls(**{**row, "words": tuple((word, first, end) for word, first, end in words)})
        texts = (clip.id, clip.speaker, clip.text, clip.source)
        if not all(isinstance(text, str) for text in texts) or not isinstance(clip.label, str | None):
            raise ValueError(f"{where}: id, speaker, text, source and label must be texts")
        if any(type(number) is not int for number in (clip.start, clip.n_frames)):
            raise ValueError(f"{where}: start {clip.start!r} and n_frames {clip.n_frames!r} must be integers")
        return clip

    def to_json(self) -> dict[str, Any]:
        row = asdict(self)
        if self.label is None:
            del row["label"]
        return row


def _is_word(word: object) -> bool:
    return isinstance(word, list) and [type(part) for part in word] == [str, int, int]


@dataclass(frozen=True)
class ClipStore:
    """An opened store: `clips` in manifest order and `frames` (N, H, W, C) uint8, memory-mapped."""

    path: Path
    meta: dict[str, Any]
    clips: tuple[Clip, ...]
    frames: Frames

    @classmethod
    def open(cls, path: str | Path, sound: bool = True) -> "ClipStore":
        """Open a store; raises LipkdError when it is missing, of another format, incomplete or damaged: clips that do
        not follow each other, ids that appear twice, impossible rates, words outside their clip. The pictures
        themselves are compared with the digest by `check` alone. Unless it has to be `sound`, a store whose manifest
        is wrong is opened, so that `check` can list all of it."""
        path = Path(path).expanduser().absolute()
        if not (path / "meta.json").is_file():
            raise LipkdError(f"clip store {path}: no meta.json there; make one with `lipkd prepare SRC OUT`")
        try:
            meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
            clips = tuple(Clip.from_json(row) for row in read_jsonl(path / "manifest.jsonl"))
            frames = np.load(path / "frames.npy", mmap_mode="r")
            if meta["format"] != FORMAT:
                raise LipkdError(f"clip store {path}: format {meta['format']}, this lipkd reads {FORMAT}")
            expected = (meta["frames"], meta["height"], meta["width"], meta["channels"])
            _check_meta(meta)
        except LipkdError:
            raise
        except KeyError as error:
            raise LipkdError(
                f"clip store {path}: damaged, {error} is missing in meta.json or in the manifest"
            ) from error
        except (OSError, ValueError, TypeError, AttributeError, EOFError, RecursionError) as error:
            raise LipkdError(f"clip store {path}: cannot be read ({error})") from error
        if frames.dtype != np.uint8 or frames.shape != expected:
            raise LipkdError(f"clip store {path}: frames.npy is {frames.dtype}{frames.shape}, not uint8{expected}")
        if len(clips) != meta["clips"]:
            raise LipkdError(f"clip store {path}: {len(clips)} clips in the manifest, {meta['clips']} in meta.json")
        store = cls(path, meta, clips, frames)
        if sound and (problems := store.problems()):
            more = f" (and {len(problems) - 1} more; see lipkd prepare --check)" if len(problems) > 1 else ""
            raise LipkdError(f"clip store {path}: damaged, {problems[0]}{more}; prepare it again with lipkd prepare")
        return store

    def clip(self, clip_id: str) -> Clip:
        """The clip of that id; raises LipkdError when there is none."""
        for clip in self.clips:
            if clip.id == clip_id:
                return clip
        raise LipkdError(f"clip store {self.path}: no clip {clip_id!r}")

    def read(self, clip: Clip) -> Frames:
        """The frames of a clip, a view (T, H, W, C) into the map."""
        return self.frames[clip.start : clip.start + clip.n_frames]

    def speakers(self) -> list[str]:
        """Speaker names in manifest order, each once."""
        return list(dict.fromkeys(clip.speaker for clip in self.clips))

    @property
    def copies(self) -> list[tuple[str, ...]]:
        """Groups of ids whose clips have exactly the same frames, in manifest order."""
        return [tuple(group) for group in self.meta.get("copies", ())]

    @property
    def alphabet(self) -> str | None:
        """The letters that the transcripts were checked for, None where nobody did."""
        characters = self.meta.get("alphabet")
        return characters if isinstance(characters, str) else None

    def problems(self) -> list[str]:
        """What is wrong with the manifest, a sentence each: all that can be told without reading the pictures."""
        problems: list[str] = []
        position = 0
        seen: set[str] = set()
        for clip in self.clips:
            where = f"clip {clip.id!r}"
            if clip.start != position or clip.n_frames < 1:
                problems.append(f"{where}: frames {clip.start}+{clip.n_frames} do not follow frame {position}")
            if clip.id in seen:
                problems.append(f"{where}: appears twice")
            if not clip.id.isprintable():
                problems.append(f"{where}: the id holds characters that cannot be printed")
            if type(clip.fps) not in (int, float) or not 0 < clip.fps < 10_000:
                problems.append(f"{where}: {clip.fps!r} frames/s, must be above 0 and below 10,000")
            for word, first, end in clip.words:
                if not 0 <= first <= end <= clip.n_frames:
                    problems.append(f"{where}: word {word!r} at {first}–{end} is outside 0–{clip.n_frames}")
            seen.add(clip.id)
            position = clip.start + clip.n_frames
        if position != self.meta["frames"]:
            problems.append(f"frames: the manifest accounts for {position}, meta.json has {self.meta['frames']}")
        if unknown := {id for group in self.copies for id in group} - seen:
            problems.append(f"copies: no clip {sorted(unknown)[0]!r}")
        return problems

    def check(self) -> list[str]:
        """Everything wrong with the store, a sentence each; an empty list when it is sound. Reads all of it."""
        problems = self.problems()
        if self.meta["digest"] != digest(self.path):
            problems.append("digest: frames or manifest have changed since the store was written")
        return problems


def _check_meta(meta: dict[str, Any]) -> None:
    """Raise ValueError, TypeError or KeyError for what `meta.json` cannot say."""
    for name in ("frames", "height", "width", "channels", "clips"):
        if type(meta[name]) is not int or meta[name] < 1:
            raise ValueError(f"{name} in meta.json is {meta[name]!r}")
    for name in ("mean", "std"):
        values = meta[name]
        if len(values) != meta["channels"] or not all(math.isfinite(value) for value in values):
            raise ValueError(f"{name} in meta.json is {values!r}")
    if not isinstance(meta["digest"], str) or not isinstance(meta.get("source_root", ""), str):
        raise ValueError("digest and source_root in meta.json must be texts")
    groups = meta.get("copies", [])
    if not all(isinstance(id, str) for group in groups for id in group):
        raise ValueError(f"copies in meta.json is {groups!r}")


def first_look(path: Path) -> int | None:
    """How many clips the store at `path` was limited to when it was made for a first look; None for any other."""
    try:
        limit = json.loads((path / "meta.json").read_text(encoding="utf-8"))["limit"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return limit if type(limit) is int else None


def store_digest(path: str | Path) -> str | None:
    """The digest that the store at `path` says of itself; None when no store can be read there."""
    try:
        found = json.loads((Path(path).expanduser() / "meta.json").read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def digest(path: Path) -> str:
    """SHA-256 of `manifest.jsonl` followed by `frames.npy`."""
    sha = hashlib.sha256((path / "manifest.jsonl").read_bytes())
    with open(path / "frames.npy", "rb") as frames:
        while block := frames.read(1 << 22):
            sha.update(block)
    return sha.hexdigest()


def require_free(path: Path) -> None:
    """Raise LipkdError where a store, or anything else, lies already; a first look may be replaced."""
    if os.path.lexists(path) and first_look(path) is None:
        raise LipkdError(f"clip store {path}: already exists; remove it or choose another name")


class StoreWriter:
    """Writes a store clip by clip into `PATH.partial` and renames it when `close` is called.

    The bytes depend only on the clips and their order. Used as a context manager, an exception
    leaves nothing behind under the final name. `alphabet` are the letters that the transcripts were checked for;
    `limit` says that the clips are a first look at a larger corpus: such a store is replaced by the next of its name.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        height: int,
        width: int,
        channels: int,
        source_root: str = "",
        alphabet: str | None = None,
        limit: int | None = None,
    ) -> None:
        self.path = Path(path).expanduser().absolute()
        require_free(self.path)
        self.stated = {"alphabet": alphabet, "limit": limit}
        self.partial = self.path.with_name(self.path.name + ".partial")
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        self.shape = (height, width, channels)
        self.source_root = source_root
        self.clips: list[Clip] = []
        self.rejects: list[dict[str, Any]] = []
        self.notes: list[dict[str, Any]] = []
        self.same: dict[bytes, list[str]] = {}  # digest of the frames → ids
        self.total = 0
        # Sums in whole numbers: exact, so mean and std do not depend on how the work was divided.
        self.sums = np.zeros(channels, np.int64)
        self.squares = np.zeros(channels, np.int64)
        self.file = open(self.partial / "frames.npy", "wb")  # noqa: SIM115 (closed in close)
        self.file.write(b"\0" * HEADER_BYTES)

    def add(
        self,
        frames: Frames,
        *,
        id: str,
        speaker: str,
        fps: float,
        text: str,
        words: Sequence[tuple[str, int, int]],
        source: str,
        label: str | None = None,
    ) -> None:
        """Append a clip's frames (T, H, W, C) uint8; raises ValueError when the shape does not fit."""
        if frames.dtype != np.uint8 or frames.shape[1:] != self.shape or len(frames) == 0:
            raise ValueError(f"clip {id}: {frames.dtype}{frames.shape}, but the store holds uint8 (T, *{self.shape})")
        clip = Clip(id, speaker, self.total, len(frames), fps, text, tuple(words), source, label)
        self.file.write(np.ascontiguousarray(frames).tobytes())
        self.same.setdefault(hashlib.sha256(frames.tobytes()).digest(), []).append(id)
        values = frames.reshape(-1, self.shape[2]).astype(np.int64)
        self.sums += values.sum(0)
        self.squares += (values * values).sum(0)
        self.clips.append(clip)
        self.total += len(frames)

    def reject(self, *, id: str, source: str, reason: str) -> None:
        """Note a clip that is left out, and why."""
        self.rejects.append({"id": id, "source": source, "reason": reason})

    def note(self, *, id: str, source: str, note: str) -> None:
        """Note what is not as it should be with a clip that is kept."""
        self.notes.append({"id": id, "source": source, "note": note})

    def close(self) -> ClipStore:
        """Finish the store and open it; raises LipkdError when it holds no clip at all, and leaves the reasons in
        `PATH.rejects.jsonl`."""
        self.file.seek(0)
        np.lib.format.write_array_header_1_0(
            self.file, {"descr": "|u1", "fortran_order": False, "shape": (self.total, *self.shape)}
        )
        assert self.file.tell() == HEADER_BYTES
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if not self.clips:
            kept = self.path.with_name(f"{self.path.name}.rejects.jsonl")
            write_jsonl(kept, self.rejects)
            why = "; ".join(f"{r['id']}: {r['reason']}" for r in self.rejects[:3]) or "no clip was found"
            shutil.rmtree(self.partial)
            raise LipkdError(f"clip store {self.path}: every clip was rejected ({why}); all reasons are in {kept}")
        write_jsonl(self.partial / "rejects.jsonl", self.rejects)
        if self.notes:
            write_jsonl(self.partial / "notes.jsonl", self.notes)
        write_jsonl(self.partial / "manifest.jsonl", [clip.to_json() for clip in self.clips])
        pixels = self.total * self.shape[0] * self.shape[1]
        mean = self.sums / pixels
        std = np.sqrt(np.maximum(self.squares / pixels - mean**2, 1.0))
        meta = {
            "format": FORMAT,
            "height": self.shape[0],
            "width": self.shape[1],
            "channels": self.shape[2],
            "clips": len(self.clips),
            "frames": self.total,
            "rejects": len(self.rejects),
            "mean": [round(float(v), 4) for v in mean],
            "std": [round(float(v), 4) for v in std],
            "digest": digest(self.partial),
            "source_root": self.source_root,
            "copies": [group for group in self.same.values() if len(group) > 1],
            **{name: value for name, value in self.stated.items() if value is not None},
        }
        write_json(self.partial / "meta.json", meta)
        if first_look(self.path) is not None:
            shutil.rmtree(self.path)
        os.replace(self.partial, self.path)
        return ClipStore.open(self.path)

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self.file.closed:
            self.file.close()
        if kind is not None:
            shutil.rmtree(self.partial, ignore_errors=True)
