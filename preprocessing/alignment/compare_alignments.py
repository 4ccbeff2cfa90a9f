"""How far alignments lie from others of the same clips, for instance from those that people made."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipkd.errors import LipkdError
from preprocessing.corpus.align_file import Alignment, read_align

MS_PER_UNIT = 1 / 25  # an .align file counts frames × 1000 at 25 frames/s


@dataclass(frozen=True)
class Comparison:
    """Distances of word boundaries in ms; `skipped` clips have no reference, or one with other words."""

    clips: int
    boundaries: int
    skipped: int
    median: float
    p90: float
    mean: float

    def text(self) -> str:
        """The comparison in a line, for people."""
        skipped = f"; {self.skipped} clips have no reference with the same words" if self.skipped else ""
        return (
            f"{self.boundaries} word boundaries of {self.clips} clips against the reference: "
            f"median {self.median:.0f} ms, 90th percentile {self.p90:.0f} ms, mean {self.mean:.0f} ms{skipped}"
        )


def compare_alignments(made: Path, reference: Path) -> Comparison:
    """Compare made/speaker/name.align with reference/speaker/name.align; raises LipkdError when none match."""
    distances: list[float] = []
    clips = skipped = 0
    for path in sorted(made.glob("*/*.align")):
        other = reference / path.parent.name / path.name
        if not other.is_file():
            skipped += 1
            continue
        ours, theirs = read_align(path), read_align(other)
        if ours.faults or theirs.faults or ours.text != theirs.text:
            skipped += 1
            continue
        clips += 1
        distances += boundary_distances(ours, theirs)
    if not clips:
        raise LipkdError(f"reference {reference}: no speaker/name.align there has the words of one in {made}")
    values = np.array(distances) * MS_PER_UNIT
    return Comparison(
        clips, len(values), skipped, float(np.median(values)), float(np.percentile(values, 90)), float(values.mean())
    )


def boundary_distances(ours: Alignment, theirs: Alignment) -> list[float]:
    """Distances in frames × 1000: where every word begins, and where it ends unless the next begins there."""
    pairs = list(zip(ours.spoken, theirs.spoken, strict=True))
    found = []
    for index, (mine, other) in enumerate(pairs):
        found.append(abs(mine.start - other.start))
        if index + 1 == len(pairs) or pairs[index + 1][1].start != other.end:
            found.append(abs(mine.end - other.end))
    return found
