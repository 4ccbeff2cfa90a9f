"""Word alignments in the `.align` format of GRID: a line per segment, `start end word`, times in frames × 1000.

From times to frames: both ends are rounded to the nearest frame boundary, halves up. A boundary that
two words share stays shared, ends that a conversion left at 56999 mean 57, and GRID's last end, 74500
of 75 frames, is 75. Words of no length (both ends on one boundary) are kept: they were said.

Files of other tools hold the same in milliseconds or seconds. `in_frames` tells by the clip's length: of its 75 frames
a last end of 3000 would be the third, and as milliseconds it is the end.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.files import write_atomic
from preprocessing.corpus.text_file import read_text, split_lines

UNITS = 1000  # per frame
SILENCE = frozenset({"sil", "sp", "spn", "<sil>", "<sp>", "<spn>", "<eps>", "<s>", "</s>", "#", "h#", "[sil]", ""})
MARKUP = re.compile(r"<[^<>]*>|\[[^][]*\]|\{[^{}]*\}")
OTHER_UNITS = (("milliseconds", 25.0), ("seconds", 25_000.0))  # of 25 frames/s, in units of an .align file
IMPLAUSIBLE = 1 / 20  # all that is said within this share of the clip: then the times are no frames × 1000
PLAIN = 1 / 10  # share of the clip that other units must reach to be recognised
Words = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Segment:
    """A word or a silence from `start` to `end`, as given in the file: frames × 1000, unless it has other units."""

    start: float
    end: float
    word: str

    @property
    def frames(self) -> tuple[int, int]:
        """First frame and end frame (exclusive) of times in frames × 1000."""
        return to_frame(self.start), to_frame(self.end)


@dataclass(frozen=True)
class Alignment:
    """The segments of a clip in the order of the file. `faults` say why the times of its words cannot be used, `mended`
    which silences were left out because their times cannot be right."""

    segments: tuple[Segment, ...]
    faults: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    @property
    def spoken(self) -> tuple[Segment, ...]:
        """The segments that are words."""
        return tuple(segment for segment in self.segments if not is_silence(segment.word))

    @property
    def words(self) -> Words:
        """(word, first frame, end frame), end exclusive, without the silences, of times in frames × 1000."""
        return tuple((s.word, *s.frames) for s in self.spoken)

    @property
    def text(self) -> str:
        """The transcript: the words as given, single spaces between them."""
        return " ".join(segment.word for segment in self.spoken)

    def in_frames(self, n_frames: int) -> tuple[Words, str | None]:
        """The words of a clip of so many frames, and the units of the file where they are not frames × 1000.

        Raises LipkdError where a word lies outside the clip, or the times fit in no unit.
        """
        last = max((segment.end for segment in self.segments), default=0.0)
        unit, factor = None, 1.0
        if last <= IMPLAUSIBLE * n_frames * UNITS:
            for name, units in OTHER_UNITS:
                if PLAIN * n_frames * UNITS <= last * units <= (n_frames + 1) * UNITS:
                    unit, factor = name, units
                    break
            else:
                raise LipkdError(
                    f"times end at {last:g}, frame {last / UNITS:.1f} of {n_frames}: neither frames × 1000 nor "
                    "milliseconds nor seconds"
                )
        words = tuple((s.word, to_frame(s.start * factor), to_frame(s.end * factor)) for s in self.spoken)
        for word, first, end in words:
            if end > n_frames:
                raise LipkdError(f"{word!r} at frames {first}–{end} of {n_frames}")
        return words, unit


def is_silence(word: str) -> bool:
    """Whether a word of an alignment is a name of silence, in any case."""
    return word.casefold() in SILENCE


def to_frame(time: float) -> int:
    """The frame boundary nearest to a time in frames × 1000; a half goes up."""
    return math.floor((time + UNITS / 2) / UNITS)


def read_align(path: Path) -> Alignment:
    """The alignment in a file; empty lines are skipped.

    Raises LipkdError naming file, line and fault where not even the words are sure: unreadable, not three fields, times
    that are no numbers, a mark like `<unk>` for a word, or nothing but silence. What is wrong with times only stands in
    the alignment's `faults` and `mended`.
    """
    numbered: list[tuple[int, Segment]] = []
    for number, line in enumerate(split_lines(read_text(path)), 1):
        if line.strip():
            try:
                numbered.append((number, _parse(line)))
            except ValueError as error:
                raise LipkdError(f"{path}, line {number}: {error}") from error
    alignment = _mended(numbered)
    if not alignment.spoken:
        raise LipkdError(f"{path}: no word, only silence; at least one line needs a word")
    return alignment


def _mended(numbered: Sequence[tuple[int, Segment]]) -> Alignment:
    """Words must follow each other; a silence that does not fit between them is left out."""
    segments: list[Segment] = []
    faults: list[str] = []
    mended: list[str] = []
    end_of_word = end_of_last = 0.0
    for index, (number, segment) in enumerate(numbered):
        silent = is_silence(segment.word)
        fault = _fault(segment, end_of_last if silent else end_of_word)
        if silent and fault is None:
            following = (other.start for _, other in numbered[index + 1 :] if not is_silence(other.word))
            if segment.end > (start := next(following, math.inf)):
                fault = f"end {segment.end:g} is after the start {start:g} of the next word"
        if fault is not None:
            (mended if silent else faults).append(f"line {number}: {fault}")
        if fault is None or not silent:
            segments.append(segment)
            end_of_last = segment.end
            end_of_word = end_of_word if silent else segment.end
    return Alignment(tuple(segments), tuple(faults), tuple(mended))


def _parse(line: str) -> Segment:
    fields = re.split(r"[ \t]+", line.strip(" \t"))
    if len(fields) == 2:
        fields.append("")  # a silence without a name
    if len(fields) != 3:
        raise ValueError(f"{len(fields)} fields in {line.strip()!r}, expected three: start end word")
    start, end = (_number(field) for field in fields[:2])
    if start is None or end is None:
        raise ValueError(f"times {fields[0]!r} and {fields[1]!r} must be numbers (frames × 1000)")
    if not is_silence(fields[2]) and MARKUP.search(fields[2]):
        raise ValueError(f"{fields[2]!r} is neither a word nor a known name of silence")
    return Segment(start, end, fields[2])


def _number(field: str) -> float | None:
    """A time; a comma may be the decimal sign. Whole numbers stay whole."""
    if not re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d{1,2})?", field, re.ASCII):
        return None
    number = float(field.replace(",", "."))
    return int(number) if number.is_integer() else number


def _fault(segment: Segment, previous_end: float) -> str | None:
    """What is wrong with the times of a segment after one that ends at `previous_end`."""
    if segment.start < 0:
        return f"start {segment.start:g} is negative"
    if segment.end < segment.start:
        return f"end {segment.end:g} is before start {segment.start:g}"
    if segment.start < previous_end:
        return f"start {segment.start:g} is before the end {previous_end:g} of the segment above (out of order)"
    return None


def write_align(path: Path, segments: Sequence[Segment]) -> None:
    """Write segments as an `.align` file, atomically."""
    text = "".join(f"{s.start} {s.end} {s.word}\n" for s in segments)
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
