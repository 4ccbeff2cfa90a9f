"""What trials can show, and how many seeds, speakers or clips would show a difference of so many points.

    difference of seed s, speaker k, clip c = truth + seed + speaker + seed × speaker + clip + seed × clip
    detectable = (t of the interval + t of 80 %) · standard error with so many of each

The variances of the parts come from the trials at hand, by the mean squares of the analysis of variance (clips within
speakers, crossed with seeds), as if all clips were equally long. From three seeds they are rough: a plan, no promise.
With the true variances a difference of the detectable size was shown in 68 to 84 % of 1,000 simulated comparisons.
Where the same speakers are the question, speakers are not drawn and clips are the units.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lipkd.errors import LipkdError
from lipkd.evaluation.clip_errors import ErrorTable, Rate, Readable
from lipkd.evaluation.compare import Pair, controlled, describe
from lipkd.evaluation.interval import Floats, Variances, variances

POWER = 0.8
MOST = {"seeds": 100, "speakers": 1000, "clips": 10_000}  # more than these are no plan


@dataclass(frozen=True)
class Design:
    """How many seeds, speakers and clips of each speaker."""

    seeds: int
    speakers: int
    clips: int


@dataclass(frozen=True)
class Components:
    """Variances of one seed, speaker and clip in the difference of two rates, and of a seed in one speaker or clip.
    Where the same speakers are the question, `speaker` and `seed_speaker` are 0 and clips carry their part."""

    other_speakers: bool
    seed: float
    speaker: float
    seed_speaker: float
    clip: float
    seed_clip: float

    def variances(self, design: Design) -> Variances:
        """Those of the mean difference that such trials would have."""
        if self.other_speakers:
            units = design.speakers
            unit, both = self.speaker + self.clip / design.clips, self.seed_speaker + self.seed_clip / design.clips
        else:
            units = design.speakers * design.clips
            unit, both = self.clip, self.seed_clip
        interaction = both / (units * design.seeds)
        return Variances(
            mean=np.zeros(()),
            seeds=np.asarray(self.seed / design.seeds + interaction),
            units=np.asarray(unit / units + interaction),
            both=np.asarray(interaction),
            seed_df=design.seeds - 1,
            unit_df=units - 1,
            concentration=1 / units,
        )

    def detectable(self, design: Design, level: float = 0.95) -> float:
        """The difference, as a rate, that such trials show about 3 times in 4; infinite with one seed or one unit."""
        found = self.variances(design)
        if found.seed_df < 1 or found.unit_df < 1:
            return float("inf")
        return float(found.half_width(level) + found.quantile(POWER) * found.standard_error())


def components(gaps: Floats, lengths: Floats, speakers: Sequence[str], other_speakers: bool) -> Components:
    """The variances in `gaps` (S, C), the edits of A minus those of B; `lengths` (C,). Raises LipkdError with one seed
    or one clip."""
    if gaps.shape[0] < 2 or gaps.shape[1] < 2:
        raise LipkdError("a plan needs at least two seeds and two clips, to estimate their spread")
    clips = _crossed(variances(gaps, lengths, np.arange(len(lengths))))
    if not other_speakers:
        seed, clip, seed_clip = clips
        return Components(False, seed, 0.0, 0.0, clip, seed_clip)
    index = np.unique(speakers, return_inverse=True)[1].astype(np.int64)
    seed, speaker, seed_speaker = _crossed(variances(gaps, lengths, index))
    clip, seed_clip = _within(gaps / lengths.mean(), index)
    each = len(lengths) / len(set(speakers))
    speaker, seed_speaker = max(0.0, speaker - clip / each), max(0.0, seed_speaker - seed_clip / each)
    return Components(True, seed, speaker, seed_speaker, clip, seed_clip)


def _crossed(found: Variances) -> tuple[float, float, float]:
    """Variances of one seed, one unit and one seed in one unit, from those of the mean."""
    seeds = found.seed_df + 1
    both = float(found.both) * seeds / found.concentration
    seed = max(0.0, float(found.seeds) * seeds - both * found.concentration)
    return seed, max(0.0, float(found.units) / found.concentration - both / seeds), both


def _within(rates: Floats, speakers: Any) -> tuple[float, float]:
    """Variances of one clip, and of one seed in one clip, around the speaker's mean; rates (S, C)."""
    member = np.eye(int(speakers.max()) + 1)[speakers]  # (C, K)
    rest = rates - (rates @ member / member.sum(0)) @ member.T
    of_clip = rest.mean(0)
    free = max(1, len(speakers) - member.shape[1])
    both = float(((rest - of_clip) ** 2).sum()) / (free * (len(rates) - 1))
    return max(0.0, float((of_clip**2).sum()) / free - both / len(rates)), both


@dataclass(frozen=True)
class Needed:
    """For one difference: how many seeds, or speakers, or clips of each speaker would show it, all else as it is;
    None where not even MOST would."""

    points: float
    seeds: int | None
    speakers: int | None
    clips: int | None


@dataclass(frozen=True)
class Plan:
    """What one comparison can show in one rate, in points, and what it would need; `floor`: with any number of
    seeds."""

    rate: Rate
    design: Design
    seed_sd: float
    shown: float
    floor: float
    needed: tuple[Needed, ...]
    other_speakers: bool

    def text(self) -> str:
        """Two lines and a table."""
        d = self.design
        one = "speakers like these" if self.other_speakers else "these speakers"
        head = (
            f"{self.rate.upper()}, for {one}: {d.seeds} seeds, {d.speakers} speakers with {d.clips} clips each; the "
            f"difference has a standard deviation of {self.seed_sd:.1f} points over seeds\n"
            f"at best these trials show {self.shown:.1f} points (about 3 times in 4), with any number of seeds "
            f"{self.floor:.1f}; what would show"
        )
        rows = [("points", "seeds", "or speakers", "or clips of each"), *(self._row(needed) for needed in self.needed)]
        return "\n".join([head, *("  ".join(cell.ljust(16) for cell in row).rstrip() for row in rows)])

    def _row(self, needed: Needed) -> tuple[str, ...]:
        counts = (("seeds", needed.seeds), ("speakers", needed.speakers), ("clips", needed.clips))
        cells = (f"over {MOST[name]}" if count is None else str(count) for name, count in counts)
        points, seeds, speakers, clips = (f"{needed.points:g}", *cells)
        return points, seeds, speakers if self.other_speakers else "–", clips

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def plan(gaps: Floats, lengths: Floats, speakers: Sequence[str], other: bool, points: Sequence[float], r: Rate) -> Plan:
    """The plan of one comparison: see `components`."""
    parts = components(gaps, lengths, speakers, other)
    n_speakers = len(set(speakers))
    design = Design(len(gaps), n_speakers, max(1, round(len(lengths) / n_speakers)))

    def smallest(axis: str, wanted: float) -> int | None:
        def enough(count: int) -> bool:
            return parts.detectable(replace(design, **{axis: count})) <= wanted / 100

        low, high = 0, MOST[axis]
        if not enough(high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return high

    return Plan(
        rate=r,
        design=design,
        seed_sd=100 * float((gaps.sum(1) / lengths.sum()).std(ddof=1)),
        shown=100 * parts.detectable(design),
        floor=100 * parts.detectable(replace(design, seeds=1_000_000)),
        needed=tuple(
            Needed(p, smallest("seeds", p), smallest("speakers", p) if other else None, smallest("clips", p))
            for p in points
        ),
        other_speakers=other,
    )


def plans(
    trials: Sequence[Readable],
    against: Sequence[Readable],
    width: float | None,
    points: Sequence[float],
    errors: ErrorTable,
) -> list[tuple[str, list[Plan] | str]]:
    """For every comparison of `trials` (with their controls, or with those of `against`): its heading, and its plans in
    WER and CER, or why there are none."""
    sides = [((list(trials), list(against)), width, {})] if against else controlled(trials)
    found: list[tuple[str, list[Plan] | str]] = []
    for (a, b), own_width, setting in sides:
        pair = Pair(a, b, own_width, errors)
        where = "".join(f", {name} {value}" for name, value in setting.items())
        heading = f"{describe(pair.first)} against {describe(pair.other)}{where}"
        try:
            made: list[Plan] | str = [_plan_of(pair, rate, points) for rate in ("wer", "cer")]
        except LipkdError as error:
            made = str(error)
        found.append((heading, made))
    return found


def _plan_of(pair: Pair, rate: Rate, points: Sequence[float]) -> Plan:
    edits = pair.edits(rate)
    return plan(edits[0] - edits[1], pair.lengths(rate), pair.speakers, pair.other_speakers, points, rate)
