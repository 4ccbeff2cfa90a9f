"""A clip store from prepared clips: in order, each accepted or rejected with its reason, and the summary of it all."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipkd.data.store import Frames, StoreWriter
from lipkd.files import write_jsonl
from lipkd.text import Alphabet
from preprocessing.corpus.source import Source, below
from preprocessing.corpus.utterance import Utterance
from preprocessing.progress import OnProgress, Progress
from preprocessing.rejects import BadClip
from preprocessing.video.resample import FPS

SHOWN = 6  # foldings of letters in a summary


@dataclass(frozen=True)
class Prepared:
    """A clip that is fit for the store: frames (T, H, W, C), what is said in them, and what else was seen."""

    frames: Frames
    utterance: Utterance
    seen: dict[str, Any] | None = None


@dataclass(frozen=True)
class Summary:
    """What became of a corpus. `reasons` count rejects by kind, `notes` what was noted of accepted clips; `word_times`
    are clips that have some; `copies` are groups of clips with equal frames; `folded` counts clips by the letter that
    the alphabet lacks and what stands for it."""

    accepted: int
    rejected: int
    frames: int
    seconds: float
    reasons: dict[str, int]
    copies: tuple[tuple[str, ...], ...]
    word_times: int = 0
    notes: dict[str, int] | None = None
    folded: dict[str, int] | None = None

    @property
    def exit_code(self) -> int:
        """0 when every clip was accepted, 3 when some were rejected."""
        return 3 if self.rejected else 0

    def text(self) -> str:
        """The summary in a few lines, for people."""
        total = self.accepted + self.rejected
        rate = total / self.seconds if self.seconds else 0.0
        lines = [
            f"{self.accepted} of {total} clips accepted, {self.frames} frames, "
            f"{self.seconds:.1f} s ({rate:.0f} clips/s); {self.word_times} have word times"
        ]
        if self.rejected:
            lines.append(f"{self.rejected} rejected (each with its reason in rejects.jsonl):")
            lines += [f"  {count:5d}  {reason}" for reason, count in self.reasons.items()]
        if self.notes:
            lines.append("accepted, but (each with its reason in notes.jsonl):")
            lines += [f"  {count:5d}  {note}" for note, count in self.notes.items()]
        if self.folded:
            shown = ", ".join(f"{what} ({count})" for what, count in list(self.folded.items())[:SHOWN])
            more = f" and {len(self.folded) - SHOWN} more" if len(self.folded) > SHOWN else ""
            lines.append(f"letters that the alphabet lacks, and their replacements (clips): {shown}{more}")
        if self.copies:
            shown = "; ".join(" = ".join(group) for group in self.copies[:3])
            more = "; …" if len(self.copies) > 3 else ""
            lines.append(
                f"{sum(map(len, self.copies))} clips have exactly the frames of another one ({shown}{more}): "
                "a split keeps them on one side"
            )
        return "\n".join(lines)


def write_store(
    opened: StoreWriter,
    src: Path,
    sources: Sequence[Source],
    results: Iterable[Prepared | BadClip],
    alphabet: Alphabet,
    started: float,
    on_progress: OnProgress | None,
    kept: int = 0,
) -> Summary:
    """Write results, in the order of their sources, to a store, and close it; `kept` results are an earlier run's.

    What was `seen` in the accepted clips goes to `seen.jsonl` beside the manifest, a line per clip.
    """
    kinds: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    folded: Counter[str] = Counter()
    word_times = 0
    first: dict[str, Source] = {}
    seen: list[dict[str, Any]] = []
    with opened as writer:
        for done, (source, result) in enumerate(zip(sources, results, strict=True), 1):
            where = below(source.path, src)
            if isinstance(result, Prepared) and (other := first.setdefault(source.id, source)) is not source:
                result = BadClip("second copy of a clip", f"{below(other.path, src)} is used")
            if isinstance(result, BadClip):
                kinds[result.kind] += 1
                writer.reject(id=source.id, source=where, reason=str(result))
            else:
                utterance = result.utterance
                writer.add(
                    result.frames,
                    id=source.id,
                    speaker=source.speaker,
                    fps=FPS,
                    text=utterance.text,
                    words=utterance.words,
                    source=where,
                    label=source.label,
                )
                word_times += bool(utterance.words)
                folded.update(sorted({f"{letter} as {form}" for letter, form in alphabet.folded(utterance.text)}))
                for kind, detail in utterance.notes:
                    notes[kind] += 1
                    writer.note(id=source.id, source=where, note=f"{kind}: {detail}")
                if result.seen is not None:
                    seen.append({"id": source.id, **result.seen})
            if on_progress is not None:
                on_progress(Progress(done, len(sources), time.monotonic() - started, kept))
        if seen:
            write_jsonl(writer.partial / "seen.jsonl", seen)
        store = writer.close()
    return Summary(
        accepted=len(store.clips),
        rejected=sum(kinds.values()),
        frames=store.meta["frames"],
        seconds=time.monotonic() - started,
        reasons=dict(kinds.most_common()),
        copies=tuple(store.copies),
        word_times=word_times,
        notes=dict(notes.most_common()),
        folded=dict(folded.most_common()),
    )
