"""`lipkd align`: word times for every clip of a corpus that has sound and a transcript.

Every clip is decided alone and gets either OUT/speaker/name.align or a line in OUT/rejects.jsonl. An
alignment that is hard to believe is written all the same, and named in OUT/flags.jsonl: a fifth of GRID's
own have a word under two frames. What is there already, for the same words, is kept, so a run that was
stopped goes on where it was; and since a clip's bytes depend on nothing but the clip, so do those of the
whole, whatever the number of workers.
"""

import contextlib
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.files import write_json, write_jsonl
from preprocessing.alignment.aeneas_client import Aligner
from preprocessing.alignment.audio import RATE, clip_sound
from preprocessing.alignment.find_speech import find_speech
from preprocessing.corpus.align_file import UNITS, Alignment, Segment, is_silence, read_align, write_align
from preprocessing.corpus.find import choose, find_corpus
from preprocessing.corpus.source import Source, below
from preprocessing.corpus.transcripts import WordList, find_words, read_transcripts, spoken_form
from preprocessing.progress import OnProgress, Progress
from preprocessing.rejects import CannotAlign
from preprocessing.video.sound import Sound

FPS = 25.0  # of the frames that an .align file counts, whatever the video's own rate
SHORTEST = 2 * UNITS  # a shorter word is flagged: either it was slurred, or it was not found
TOLERANCE = UNITS  # sound may last that much longer than the picture
SETTINGS = "align.json"
STALE = ".stale"  # ends the name of an alignment of an earlier run whose clip was rejected in this one


@dataclass(frozen=True)
class Aligned:
    """A clip that has its alignment: there before or made now, where the words come from, what is doubtful."""

    kept: bool
    origin: str
    doubt: str | None


@dataclass(frozen=True)
class Summary:
    """What became of a corpus; `reasons` counts rejects by kind, `origins` alignments by their transcripts' origin."""

    made: int
    kept: int
    flagged: int
    rejected: int
    seconds: float
    reasons: dict[str, int]
    origins: dict[str, int]

    @property
    def exit_code(self) -> int:
        """0 when every clip has an alignment, 3 when some were left out."""
        return 3 if self.rejected else 0

    def text(self) -> str:
        """The summary in a few lines, for people."""
        total = self.made + self.kept + self.rejected
        kept = f", {self.kept} were there already" if self.kept else ""
        rate = (self.made + self.rejected) / self.seconds if self.seconds else 0.0
        lines = [f"{self.made} of {total} clips aligned{kept}, {self.seconds:.1f} s ({rate:.1f} clips/s)"]
        if self.origins:
            lines.append("words from " + ", ".join(f"{origin} ({count})" for origin, count in self.origins.items()))
        if self.flagged:
            lines.append(f"{self.flagged} aligned, but doubtful (each with its reason in flags.jsonl)")
        if self.rejected:
            lines.append(f"{self.rejected} left out (each with its reason in rejects.jsonl):")
            lines += [f"  {count:5d}  {reason}" for reason, count in self.reasons.items()]
        return "\n".join(lines)


def align_corpus(
    src: Path,
    out: Path,
    *,
    layout: str = "auto",
    language: str = "eng",
    transcripts: Path | None = None,
    align: Path | None = None,
    speakers: Sequence[str] | None = None,
    pattern: str | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    force: bool = False,
    anywhere: bool = False,
    report: Callable[[str], None] = lambda line: None,
    on_progress: OnProgress | None = None,
) -> Summary:
    """Write OUT/speaker/name.align for the clips under `src`, OUT/flags.jsonl for
    doubtful ones and OUT/rejects.jsonl for clips that get none.

    `layout` is as for prepare; `transcripts` is a table of texts, `align` a folder of .align files whose words are
    used; `anywhere` allows a table to name files outside its folder; `report` gets lines that say what was taken for
    what; `sample` takes that many clips by chance (`seed`), `limit` the first ones; `force` aligns anew what is there.
    Raises LipkdError when a program is missing, nothing is found, or `out` holds
    alignments of another making.
    """
    started = time.monotonic()
    for name, value in (("limit", limit), ("sample", sample), ("workers", workers)):
        if value is not None and value < 1:
            raise LipkdError(f"{name} {value}: must be at least 1")
    src, out = src.expanduser().absolute(), out.expanduser().absolute()
    corpus = find_corpus(src, layout, align, anywhere)
    for line in (f"layout {corpus.layout.name}: {len(corpus.sources)} clips", *corpus.lines):
        report(line)
    sources = choose(corpus.sources, speakers=speakers, pattern=pattern, limit=limit)
    if sample is not None and sample < len(sources):
        chosen = sorted(random.Random(seed).sample(range(len(sources)), sample))
        sources = [sources[index] for index in chosen]
    root = src.parent if src.is_file() else src
    table = read_transcripts(transcripts, corpus.sources, root) if transcripts is not None else None
    Aligner(language).close()  # now, rather than from every worker
    claim(out, language, force)
    made: Counter[str] = Counter()
    kept = 0
    kinds: Counter[str] = Counter()
    flags: list[dict[str, str]] = []
    rejects: list[dict[str, str]] = []
    job = Job(out, language, table, force, first_of_each_id(sources))
    for done, (source, result) in enumerate(zip(sources, job.run(sources, workers), strict=True), 1):
        clip = {"id": source.id, "source": below(source.path, src)}
        if isinstance(result, Aligned):
            made[result.origin] += 1
            kept += result.kept
            if result.doubt is not None:
                flags.append({**clip, "reason": result.doubt})
        else:
            kinds[result.kind] += 1
            rejects.append({**clip, "reason": str(result)})
        if on_progress is not None:
            on_progress(Progress(done, len(sources), time.monotonic() - started))
    write_jsonl(out / "flags.jsonl", flags)
    write_jsonl(out / "rejects.jsonl", rejects)
    return Summary(
        made=made.total() - kept,
        kept=kept,
        flagged=len(flags),
        rejected=len(rejects),
        seconds=time.monotonic() - started,
        reasons=dict(kinds.most_common()),
        origins=dict(made.most_common()),
    )


def claim(out: Path, language: str, force: bool) -> None:
    """Make `out` a folder of alignments in this language; raises LipkdError when it is one of another making."""
    settings = {"made_by": "lipkd align", "language": language}
    path = out / SETTINGS
    if path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise LipkdError(f"{path}: not JSON") from error
        if before != settings and not force:
            raise LipkdError(f"{out}: was made with other settings ({before}); use --force or another folder")
    elif out.is_dir() and any(out.rglob("*.align")):
        raise LipkdError(f"{out}: holds alignments that lipkd align did not make; choose another folder")
    write_json(path, settings)


def first_of_each_id(sources: Sequence[Source]) -> dict[str, Source]:
    """The clip that gets the alignment of an id: the first that has it. A path alone names no clip: the rows of a
    table are parts of one video, and a video may lie there in two forms."""
    first: dict[str, Source] = {}
    for source in sources:
        first.setdefault(source.id, source)
    return first


@dataclass(frozen=True)
class Job:
    """What is the same for all clips of a run."""

    out: Path
    language: str
    table: Mapping[str, str] | None
    force: bool
    first: Mapping[str, Source]

    def run(self, sources: Sequence[Source], workers: int | None) -> Iterator[Aligned | CannotAlign]:
        """The result of every clip, in order. The threads only wait: FFmpeg and aeneas are processes."""
        local = threading.local()
        aligners: list[Aligner] = []

        def aligner() -> Aligner:
            if not hasattr(local, "aligner"):
                local.aligner = Aligner(self.language)
                aligners.append(local.aligner)
            found: Aligner = local.aligner
            return found

        pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
        try:
            yield from pool.map(lambda source: self.decide(source, aligner), sources)
        finally:
            pool.shutdown(cancel_futures=True)
            for running in aligners:
                running.close()

    def decide(self, source: Source, aligner: Callable[[], Aligner]) -> Aligned | CannotAlign:
        """Align one clip unless it is done; what is wrong with it is returned, not raised."""
        if (other := self.first[source.id]) is not source:  # the file of this id belongs to the other clip
            what = "it is listed twice" if other == source else f"{other.path.name} is {source.id}, too"
            return CannotAlign("second copy of a clip", what)
        path = self.out / f"{source.id}.align"
        try:
            transcript = find_words(source, self.table)
            if not self.force and (there := done_before(path, source, transcript)) is not None:
                return Aligned(True, transcript.origin, doubt(there.segments))
            segments = align_clip(clip_sound(source.path, source.span), transcript, aligner)
        except CannotAlign as reason:
            set_aside(path)
            return reason
        write_align(path, segments)
        return Aligned(False, transcript.origin, doubt(segments))


def set_aside(path: Path) -> None:
    """Rename the alignment of an earlier run, whose words may be others, so that nothing reads it and nothing is lost:
    the video may be there again tomorrow, and the times may have been corrected by hand."""
    with contextlib.suppress(FileNotFoundError):
        path.replace(path.with_name(f"{path.name}{STALE}"))


def done_before(path: Path, source: Source, transcript: WordList) -> Alignment | None:
    """The alignment at `path` if it is whole, of these words, and younger than the video."""
    try:
        there = read_align(path)
        younger = path.stat().st_mtime >= source.path.stat().st_mtime
    except (LipkdError, OSError):
        return None
    return there if younger and not there.faults and there.text == " ".join(transcript.words) else None


def doubt(segments: Sequence[Segment]) -> str | None:
    """Why an alignment is hard to believe; None when it is not."""
    short = [part for part in segments if not is_silence(part.word) and part.end - part.start < SHORTEST]
    if not short:
        return None
    first = short[0]
    more = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
    length, where = (first.end - first.start) / UNITS, first.start / UNITS
    return f"word under {SHORTEST // UNITS} frames: {first.word!r} has {length:.1f} at frame {where:.1f}{more}"


def align_clip(sound: Sound, transcript: WordList, aligner: Callable[[], Aligner]) -> list[Segment]:
    """The segments of a clip, silence at both ends; raises CannotAlign with the reason when it has none."""
    said = [spoken_form(word) for word in transcript.words]
    if "" in said:
        raise CannotAlign("no letter in a word", repr(transcript.words[said.index("")]))
    start, end = find_speech(sound.samples)
    times = aligner().align(sound.samples[round(start * RATE) : round(end * RATE)], said)
    return to_segments(transcript.words, [start + float(time) for time in times], sound.duration)


def to_segments(words: Sequence[str], times: Sequence[float], duration: float) -> list[Segment]:
    """Words at `times` (seconds, one more than words) in a clip of `duration` seconds, `sil` before and after.

    Raises CannotAlign when the last word ends outside the clip.
    """
    whole = round(duration * FPS) * UNITS
    marks = [round(time * FPS * UNITS) for time in times]
    if marks[-1] > whole + TOLERANCE:
        raise CannotAlign(
            "words outside the clip", f"{words[-1]!r} ends at frame {marks[-1] / UNITS:.1f} of {whole // UNITS}"
        )
    marks = [min(mark, whole) for mark in marks]
    spoken = [Segment(start, end, word) for word, start, end in zip(words, marks, marks[1:], strict=False)]
    head = [Segment(0, marks[0], "sil")] if marks[0] > 0 else []
    tail = [Segment(marks[-1], whole, "sil")] if marks[-1] < whole else []
    return [*head, *spoken, *tail]
