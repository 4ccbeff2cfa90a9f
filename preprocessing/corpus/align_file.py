"""Word alignments in the `.align` format of GRID: a line per segment, `start end word`, times in frames × 1000.

From times to frames: both ends are rounded to the nearest frame boundary, halves up. A boundary that
two words share stays shared, ends that a conversion left at 56999 mean 57, and GRID's last end, 74500
of 75 frames, is 75. Words of no length (both ends on one boundary) are kept: they were said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.files import write_atomic

UNITS = 1000  # per frame
SILENCE = frozenset({"sil", "sp"})


@dataclass(frozen=True)
class Segment:
    """A word or a silence from `start` to `end`, in frames × 1000, as given in the file."""

    start: int
    end: int
    word: str

    @property
    def frames(self) -> tuple[int, int]:
        """First frame and end frame (exclusive)."""
        return to_frame(self.start), to_frame(self.end)


@dataclass(frozen=True)
class Alignment:
    """The segments of a clip in time order, silences included."""

    segments: tuple[Segment, ...]

    @property
    def words(self) -> tuple[tuple[str, int, int], ...]:
        """(word, first frame, end frame), end exclusive, without the silences."""
        return tuple((s.word, *s.frames) for s in self.segments if s.word not in SILENCE)

    @property
    def text(self) -> str:
        """The transcript: the words as given, single spaces between them."""
        return " ".join(word for word, _, _ in self.words)


def to_frame(time: int) -> int:
    """The frame boundary nearest to a time in frames × 1000; a half goes up."""
    return (time + UNITS // 2) // UNITS


def read_align(path: Path) -> Alignment:
    """The alignment in a file; empty lines are skipped.

    Raises LipkdError naming file, line and fault: unreadable, not three fields, times that are no
    whole numbers or negative, an end before its start, a start before the end of the line above, or
    nothing but silence.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LipkdError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise LipkdError(f"{path}: not UTF-8 text") from error
    segments: list[Segment] = []
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                segments.append(_parse(line, segments[-1].end if segments else 0))
            except ValueError as error:
                raise LipkdError(f"{path}, line {number}: {error}") from error
    alignment = Alignment(tuple(segments))
    if not alignment.words:
        raise LipkdError(f"{path}: no word, only silence; at least one line needs a word")
    return alignment


def _parse(line: str, previous_end: int) -> Segment:
    fields = line.split()
    if len(fields) != 3:
        raise ValueError(f"{len(fields)} fields in {line.strip()!r}, expected three: start end word")
    try:
        start, end = int(fields[0]), int(fields[1])
    except ValueError:
        raise ValueError(f"times {fields[0]!r} and {fields[1]!r} must be whole numbers (frames × 1000)") from None
    if start < 0:
        raise ValueError(f"start {start} is negative")
    if end < start:
        raise ValueError(f"end {end} lies before start {start}")
    if start < previous_end:
        raise ValueError(f"start {start} lies before the end {previous_end} of the segment above (out of order)")
    return Segment(start, end, fields[2])


def write_align(path: Path, segments: Sequence[Segment]) -> None:
    """Write segments as an `.align` file, atomically."""
    text = "".join(f"{s.start} {s.end} {s.word}\n" for s in segments)
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
