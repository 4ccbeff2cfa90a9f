"""Ingest of clips that are already mouth crops: decode, check against the transcript, write a clip store.

Every clip is decided alone, in a worker process: it comes back as frames and words, or as the reason
why it is left out. The store is written in natural order by one process, so its bytes do not depend
on the number of workers.
"""

import hashlib
import multiprocessing
import os
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.store import ClipStore, Frames, StoreWriter
from lipkd.text import LETTERS, Alphabet
from preprocessing.align_file import Alignment, read_align
from preprocessing.decoding import FPS, BadClip, decode
from preprocessing.layout import Source, find_clips

AHEAD = 4  # clips in flight per worker: keeps all busy, bounds the memory
FEW = 8  # clips that are not worth starting processes for
OnProgress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Prepared:
    """A clip that is fit for the store: frames (T, H, W, 3), and what is said in them."""

    frames: Frames
    alignment: Alignment


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


def prepare_cropped(
    src: Path,
    out: Path,
    *,
    align: Path | None = None,
    size: tuple[int, int] = (50, 100),
    limit: int | None = None,
    speakers: Sequence[str] | None = None,
    alphabet: str = LETTERS,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> Summary:
    """Write the clips under `src` (layouts: preprocessing/layout.py) to a new clip store `out`.

    `size` is (height, width); `limit` takes the first clips only; `workers` defaults to the number of
    processors; `on_progress(done, total, clips_per_second)` is called after every clip. A clip that
    cannot be used is noted in the store's rejects with its reason. Raises LipkdError when there is
    nothing to read, `out` exists, or every clip was rejected.
    """
    started = time.monotonic()
    if limit is not None and limit < 1:
        raise LipkdError(f"limit {limit}: must be at least 1")
    if workers is not None and workers < 1:
        raise LipkdError(f"workers {workers}: must be at least 1")
    if min(size) < 1:
        raise LipkdError(f"size {size[0]}×{size[1]}: height and width must be at least 1")
    src = src.expanduser().absolute()
    sources = find_clips(src, align=align, speakers=speakers)[:limit]
    check = partial(prepare_clip, size=size, alphabet=Alphabet(alphabet))
    kinds: Counter[str] = Counter()
    same: defaultdict[bytes, list[str]] = defaultdict(list)
    first: dict[str, Source] = {}
    with StoreWriter(out, height=size[0], width=size[1], channels=3, source_root=str(src)) as writer:
        results = check_all(check, sources, workers or os.cpu_count() or 1)
        for done, (source, result) in enumerate(zip(sources, results, strict=True), 1):
            where = source.path.relative_to(src).as_posix()
            if isinstance(result, Prepared) and (other := first.setdefault(source.id, source)) is not source:
                result = BadClip("second copy of a clip", f"{other.path.relative_to(src).as_posix()} is used")
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
                )
                same[hashlib.sha256(result.frames.tobytes()).digest()].append(source.id)
            if on_progress is not None:
                on_progress(done, len(sources), done / (time.monotonic() - started))
        store = writer.close()
    return Summary(
        accepted=len(store.clips),
        rejected=sum(kinds.values()),
        frames=store.meta["frames"],
        seconds=time.monotonic() - started,
        reasons=dict(kinds.most_common()),
        twins=tuple(tuple(group) for group in same.values() if len(group) > 1),
    )


def prepare_clip(source: Source, *, size: tuple[int, int], alphabet: Alphabet) -> Prepared | BadClip:
    """Decode and check one clip; what is wrong with it is returned, not raised."""
    try:
        alignment = _alignment(source, alphabet)
        frames = decode(source.path, size)
        _check_fit(alignment, len(frames), alphabet)
    except BadClip as reason:
        return reason
    return Prepared(frames, alignment)


def _alignment(source: Source, alphabet: Alphabet) -> Alignment:
    """The clip's alignment, with a transcript that the alphabet can spell."""
    if source.align is None:
        raise BadClip("no alignment", f"no {source.id}.align found")
    try:
        alignment = read_align(source.align)
    except LipkdError as error:
        raise BadClip("broken alignment", str(error)) from error
    if outside := alphabet.outside(alignment.text):
        raise BadClip("letters outside the alphabet", f"{outside!r} in {alignment.text!r}")
    if not alphabet.encode(alignment.text):
        raise BadClip("no letter in the transcript", f"{alignment.text!r}")
    return alignment


def _check_fit(alignment: Alignment, n_frames: int, alphabet: Alphabet) -> None:
    """The words must lie within the clip, and CTC must be able to say them in that many frames."""
    for word, first, end in alignment.words:
        if end > n_frames:
            raise BadClip("words outside the clip", f"{word!r} at frames {first}–{end} of {n_frames}")
    symbols = alphabet.encode(alignment.text)
    needed = len(symbols) + sum(a == b for a, b in pairwise(symbols))  # a blank between equal letters
    if n_frames < needed:
        raise BadClip("too few frames", f"{n_frames} for a transcript of {needed} symbols")


Result = Prepared | BadClip
Check = Callable[[Source], Result]


def check_all(check: Check, sources: Sequence[Source], workers: int) -> Iterator[Result]:
    """`check` of every source, in order, over worker processes.

    A decoder that dies of a damaged video takes its whole pool with it: the clips in flight are then
    checked one by one, each in a process of its own, and only the one that kills it again is lost.
    """
    if workers == 1 or len(sources) <= FEW:
        yield from map(check, sources)
        return
    remaining = deque(sources)
    while remaining:
        flying: deque[tuple[Source, Future[Result]]] = deque()
        with _pool(workers) as pool:
            try:
                while remaining or flying:
                    while remaining and len(flying) < workers * AHEAD:
                        flying.append((remaining[0], pool.submit(check, remaining[0])))
                        remaining.popleft()
                    result = flying[0][1].result()
                    flying.popleft()
                    yield result
            except BrokenProcessPool:
                pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        for source, _ in flying:
            yield _alone(check, source)


def _alone(check: Check, source: Source) -> Result:
    with _pool(1) as pool:
        try:
            return pool.submit(check, source).result()
        except BrokenProcessPool:
            return BadClip("unreadable video", "the decoder crashed on it")


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: OpenCV's and torch's threads do not survive a fork.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def check_store(path: Path) -> list[str]:
    """Everything wrong with the store at `path`, a sentence each; raises LipkdError when it is no store."""
    return ClipStore.open(path).check()


def print_progress(done: int, total: int, rate: float) -> None:
    """A progress line on stderr: rewritten in place on a terminal, else a line at every tenth."""
    line = f"{done}/{total} clips, {rate:.0f} clips/s"
    if sys.stderr.isatty():
        print(f"\r{line}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done == total or done * 10 // total != (done - 1) * 10 // total:
        print(line, file=sys.stderr, flush=True)
