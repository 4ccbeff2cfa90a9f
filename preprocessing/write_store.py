"""What goes into a clip store: frames and words that fit each other, in order, and the reasons for the rest."""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipkd.data.store import Frames, StoreWriter
from lipkd.errors import LipkdError
from lipkd.files import write_jsonl
from lipkd.text import Alphabet, least_frames
from preprocessing.corpus.align_file import Alignment, read_align
from preprocessing.corpus.source import Source, below
from preprocessing.corpus.transcripts import text_of
from preprocessing.progress import OnProgress, Progress
from preprocessing.rejects import BadClip
from preprocessing.video.resample import FPS


@dataclass(frozen=True)
class Transcript:
    """What is said, without times."""

    text: str
    words: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A clip that is fit for the store: frames (T, H, W, C), what is said in them, and what else was seen."""

    frames: Frames
    alignment: Alignment | Transcript
    seen: dict[str, Any] | None = None


@dataclass(frozen=True)
class Summary:
    """What became of a corpus. `reasons` counts rejects by kind; `twins` are groups of clips with equal frames."""

    accepted: int
    rejected: int
    frames: int
    seconds: float
    reasons: dict[str, int]
    twins: tuple[tuple[str, ...], ...]

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
            f"{self.seconds:.1f} s ({rate:.0f} clips/s)"
        ]
        if self.rejected:
            lines.append(f"{self.rejected} rejected (each with its reason in rejects.jsonl):")
            lines += [f"  {count:5d}  {reason}" for reason, count in self.reasons.items()]
        if self.twins:
            shown = "; ".join(" = ".join(group) for group in self.twins[:3])
            more = "; …" if len(self.twins) > 3 else ""
            lines.append(
                f"{sum(map(len, self.twins))} clips have exactly the frames of another one ({shown}{more}): "
                "keep them on one side of a split"
            )
        return "\n".join(lines)


def write_store(
    opened: StoreWriter,
    src: Path,
    sources: Sequence[Source],
    results: Iterable[Prepared | BadClip],
    started: float,
    on_progress: OnProgress | None,
    kept: int = 0,
) -> Summary:
    """Write results, in the order of their sources, to a store, and close it; `kept` results are an earlier run's.

    What was `seen` in the accepted clips goes to `seen.jsonl` beside the manifest, a line per clip.
    """
    kinds: Counter[str] = Counter()
    same: defaultdict[bytes, list[str]] = defaultdict(list)
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
                said = result.alignment
                writer.add(
                    result.frames,
                    id=source.id,
                    speaker=source.speaker,
                    fps=FPS,
                    text=said.text,
                    words=said.words,
                    source=where,
                    label=source.label,
                )
                if result.seen is not None:
                    seen.append({"id": source.id, **result.seen})
                same[hashlib.sha256(result.frames.tobytes()).digest()].append(source.id)
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
        twins=tuple(tuple(group) for group in same.values() if len(group) > 1),
    )


def transcript_of(source: Source, alphabet: Alphabet) -> Alignment | Transcript:
    """The clip's alignment, or its bare text, with letters that the alphabet has; raises BadClip."""
    alignment: Alignment | Transcript
    try:
        if source.align is not None:
            alignment = read_align(source.align)
        elif (said := text_of(source)) is not None:
            alignment = Transcript(said.text)
        else:
            raise BadClip("no transcript", f"no {source.id}.align and no {Path(source.id).name}.txt found")
    except LipkdError as error:
        raise BadClip("broken alignment" if source.align else "broken transcript", str(error)) from error
    if outside := alphabet.outside(alignment.text):
        raise BadClip("letters outside the alphabet", f"{outside!r} in {alignment.text!r}")
    if not alphabet.encode(alignment.text):
        raise BadClip("no letter in the transcript", f"{alignment.text!r}")
    return alignment


def check_fit(alignment: Alignment | Transcript, n_frames: int, alphabet: Alphabet) -> None:
    """The words must lie within the clip, and CTC must be able to say them in that many frames."""
    for word, first, end in alignment.words:
        if end > n_frames:
            raise BadClip("words outside the clip", f"{word!r} at frames {first}–{end} of {n_frames}")
    needed = least_frames(alphabet.encode(alignment.text))
    if n_frames < needed:
        raise BadClip("too few frames", f"{n_frames} for a transcript of {needed} symbols")
