"""How much GPU memory trials take: peaks by kind of trial and model of card, kept beside the sweeps.

A peak comes from the journals of trials that ran on such a card, or from two steps of training (tuning/gpu/probe.py).
docs/formats.md has the file.
"""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lipkd.config.trial_config import TrialConfig
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.files import write_json
from lipkd.lock import only_one
from lipkd.trial import Cause, TrialFolder

FORMAT = 1
FILE = "memory.json"  # in the folder of the sweeps
LOCK = ".memory.lock"  # beside it: sweeps that run at the same time write the same table
SAVE_S = 10.0
USUAL_CONTEXT_MB = 600.0  # where it was not measured
GPU = "gpu.json"  # in the folder of a trial that runs on one: `device`, `total_mb`, `share`


@dataclass(frozen=True)
class Kind:
    """What trials have in common that take the same memory: `widths` one per peer, `picture` height, width and
    channels, `frames` of the longest clip, `words` whether there is a word-level warm start, `averaged` whether
    averaged weights are kept."""

    network: str
    widths: tuple[float, ...]
    method: str
    views: int
    batch_size: int
    picture: tuple[int, int, int]
    frames: int
    precision: str
    words: bool
    averaged: bool

    @classmethod
    def of(cls, config: TrialConfig) -> "Kind":
        """The kind of a trial; opens its clip store."""
        height, width, channels, frames = _clips(config.data.store)
        return cls(
            network=config.network.name,
            widths=tuple(sorted(config.widths, reverse=True)),
            method=config.cohort.method if config.cohort.peers > 1 else "vanilla",
            views=config.views,
            batch_size=config.training.batch_size,
            picture=(*(config.data.crop or (height, width)), channels),
            frames=frames,
            precision=config.training.precision,
            words=config.training.word_weight > 0,
            averaged=config.training.ema > 0,
        )

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Kind":
        height, width, channels = row["picture"]
        return cls(**{**row, "widths": tuple(row["widths"]), "picture": (height, width, channels)})

    def within(self, other: "Kind") -> bool:
        """Whether trials of this kind take at most what those of the other kind take: they are the same, or smaller."""
        same = (self.network, self.method, self.precision) == (other.network, other.method, other.precision)
        pairs = [*zip(self.picture, other.picture, strict=True), (len(self.widths), len(other.widths))]
        pairs += [(getattr(self, name), getattr(other, name)) for name in ("views", "batch_size", "frames")]
        pairs += [(self.words, other.words), (self.averaged, other.averaged)]
        widths = zip(self.widths, other.widths, strict=False)
        return same and all(mine <= theirs for mine, theirs in [*pairs, *widths])

    @property
    def size(self) -> float:
        """For an order among kinds: pictures in a batch, times their size, times the peers' widths."""
        height, width, _ = self.picture
        return self.batch_size * self.views * self.frames * height * width * sum(self.widths)

    def text(self) -> str:
        """One line that names the kind."""
        height, width, channels = self.picture
        widths = "+".join(f"{width:g}" for width in self.widths)
        parts = [self.method, self.network, f"w{widths}", f"b{self.batch_size}", f"{height}x{width}"]
        parts.append(f"{self.frames} frames")
        if channels == 1:
            parts.append("grey")
        if self.views > 1:
            parts.append(f"{self.views} views")
        if self.words:
            parts.append("words")
        if self.averaged:
            parts.append("averaged")
        if self.precision != "auto":
            parts.append(self.precision)
        return " ".join(parts)


@lru_cache(maxsize=64)
def _clips(store: str) -> tuple[int, int, int, int]:
    """Height, width and channels of a store's pictures, and the frames of its longest clip."""
    opened = ClipStore.open(store)
    meta = opened.meta
    return meta["height"], meta["width"], meta["channels"], max(clip.n_frames for clip in opened.clips)


@dataclass
class Known:
    """What is known of one model of card, in MiB: its memory, what CUDA's context takes of it for each process (None
    when that was not measured), and the peaks."""

    total_mb: float
    measured_context_mb: float | None = None
    peaks: dict[Kind, float] = field(default_factory=dict)

    @property
    def context_mb(self) -> float:
        return USUAL_CONTEXT_MB if self.measured_context_mb is None else self.measured_context_mb

    def peak(self, kind: Kind) -> float | None:
        """The peak of a kind; of one that was never seen that of the least kind which holds it; else None."""
        if kind in self.peaks:
            return self.peaks[kind]
        return min((peak for other, peak in self.peaks.items() if kind.within(other)), default=None)

    def add_peak(self, kind: Kind, peak_mb: float) -> None:
        """A trial of that kind took so much; only more than is known changes anything."""
        self.peaks[kind] = min(max(peak_mb, self.peaks.get(kind, 0.0)), self.total_mb)


@dataclass
class MemoryTable:
    """What is known, by the name of the card; a file that everybody may read, or none."""

    path: Path
    cards: dict[str, Known] = field(default_factory=dict)

    @classmethod
    def beside(cls, sweep: Path) -> "MemoryTable":
        """The table in the folder of the sweeps, where `sweep` lies."""
        return cls.load(sweep.parent / FILE)

    @classmethod
    def load(cls, path: Path) -> "MemoryTable":
        """The table of a file, an empty one when there is none; raises LipkdError when it can't be read."""
        if not path.is_file():
            return cls(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise LipkdError(f"{path}: format {content['format']}, this lipkd reads {FORMAT}; delete it")
            return cls(path, {name: _known(row) for name, row in content["devices"].items()})
        except (ValueError, KeyError, TypeError) as error:
            raise LipkdError(f"{path}: cannot be read ({error}); delete it, and it is measured again") from error

    def update_file(self, trials: Iterable[tuple[TrialFolder, TrialConfig]]) -> None:
        """`update`, and save what was new."""
        if self.update(trials):
            self.save()

    def save(self) -> None:
        """Write the table, with what other sweeps have written since it was loaded."""
        with only_one(self.path.with_name(LOCK), f"memory table {self.path}", wait=SAVE_S):
            with contextlib.suppress(LipkdError):  # a damaged one is replaced
                self._merge(MemoryTable.load(self.path))
            self._write()

    def _merge(self, other: "MemoryTable") -> None:
        for name, theirs in other.cards.items():
            own = self.cards.setdefault(name, Known(theirs.total_mb))
            contexts = [c for c in (own.measured_context_mb, theirs.measured_context_mb) if c is not None]
            own.measured_context_mb = min(contexts, default=None)
            for kind, peak in theirs.peaks.items():
                own.add_peak(kind, peak)

    def _write(self) -> None:
        devices = {
            name: {
                "total_mb": round(known.total_mb, 1),
                "context_mb": known.measured_context_mb and round(known.measured_context_mb, 1),
                "kinds": [{**asdict(kind), "peak_mb": round(peak, 1)} for kind, peak in known.peaks.items()],
            }
            for name, known in self.cards.items()
        }
        write_json(self.path, {"format": FORMAT, "devices": devices})

    def update(self, trials: Iterable[tuple[TrialFolder, TrialConfig]]) -> bool:
        """Add the peaks of trials that ran on a GPU; whether one was more than was known.

        A trial that reported epochs took the most that its journal says. One that ran out of memory takes more than it
        had.
        """
        before = {name: dict(known.peaks) for name, known in self.cards.items()}
        for folder, config in trials:
            ran = _read(folder.path / GPU)
            if not ran or folder.damage():
                continue
            known = self.cards.setdefault(ran["device"], Known(ran["total_mb"]))
            peaks = [r.metrics["memory/peak_mb"] for r in folder.reports() if "memory/peak_mb" in r.metrics]
            if folder.state().get("cause") == Cause.OUT_OF_MEMORY:
                peaks.append(ran["share"] * known.total_mb - known.context_mb)
            if peaks:
                known.add_peak(Kind.of(config), max(peaks))
        return before != {name: known.peaks for name, known in self.cards.items()}


def _known(row: dict[str, Any]) -> Known:
    peaks = {}
    for kind in row["kinds"]:
        peak = kind.pop("peak_mb")
        peaks[Kind.from_json(kind)] = float(peak)
    return Known(float(row["total_mb"]), row["context_mb"], peaks)


def _read(path: Path) -> dict[str, Any]:
    """What a trial noted of its GPU; nothing where it ran on none, or where the file is damaged."""
    try:
        content = json.loads(path.read_bytes())
        return {"device": str(content["device"]), "total_mb": float(content["total_mb"]), "share": content["share"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
