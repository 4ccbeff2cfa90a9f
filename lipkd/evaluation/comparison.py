"""What a comparison of two methods found: numbers, and the sentences, the table and the JSON that are made of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lipkd.evaluation.clip_errors import Part, Rate

Outcome = Literal["better", "worse", "not shown"]
RATES: tuple[Rate, ...] = ("wer", "cer")
UNIT = {"wer": "words", "cer": "characters"}
CLIPS: dict[Part, str] = {"val": "validation", "test": "test"}


@dataclass(frozen=True)
class Difference:
    """A - B in one rate, negative where A makes fewer errors: the mean over seeds, its interval (None where there is
    nothing to tell one from), and the difference of every seed and speaker.

    `edits_a`, `edits_b`: edits summed over seeds and clips, means over peers; `reference`: the words or
    characters that they are counted against.
    """

    mean: float
    low: float | None
    high: float | None
    by_seed: dict[int, float]
    by_speaker: dict[str, float]
    edits_a: float
    edits_b: float
    reference: int

    @property
    def outcome(self) -> Outcome:
        """Of A against B; `not shown` unless the interval excludes 0."""
        if self.high is not None and self.high < 0:
            return "better"
        return "worse" if self.low is not None and self.low > 0 else "not shown"

    @property
    def certain(self) -> bool:
        """Whether the interval excludes 0."""
        return self.outcome != "not shown"

    def agreeing(self, values: dict[Any, float]) -> str:
        """How many of the seeds or speakers have the sign of the mean: `3 of 3`."""
        return f"{sum(value * self.mean > 0 for value in values.values())} of {len(values)}"


@dataclass(frozen=True)
class MethodComparison:
    """Two methods at equal everything else, over the seeds that both have.

    `clips` of the `part` were compared; `other_speakers`: the interval counts what other speakers would change, else
    only other clips of these. `averaged`: one side has peers, over which its edits are means; `width`: only peers of it
    took part, or None for all. `unread_test`: the split has test clips that some trials have not read yet. `setting`:
    in what the two differ from the others of their sweep, if from any.
    """

    a: str
    b: str
    part: Part
    clips: int
    level: float
    other_speakers: bool
    wer: Difference
    cer: Difference
    averaged: bool
    width: float | None = None
    unread_test: bool = False
    setting: dict[str, str] = field(default_factory=dict)

    def heading(self) -> str:
        """What was compared with what, and on what."""
        where = "".join(f", {name} {value}" for name, value in self.setting.items())
        speakers = len(self.wer.by_speaker)
        whose = "" if speakers == 1 else f" of {speakers} speakers"
        return f"{self.a} against {self.b}{where}; {self.clips} {CLIPS[self.part]} clips{whose}"

    def verdict(self) -> str:
        """In words, a line each: which is better in WER and in CER, by how much, in how many seeds and for how many
        speakers; what the interval covers; and what else a reader must know."""
        rates = (self._sentence(rate, getattr(self, rate)) for rate in RATES)
        return "\n".join([*rates, *self.notes()])

    def notes(self) -> list[str]:
        """What the interval covers, and on which clips the best epochs were chosen."""
        names = list(self.wer.by_speaker)
        these = "this speaker" if len(names) == 1 else "these speakers"
        found = []
        if self.wer.low is not None:
            units = f"speakers like these {len(names)}" if self.other_speakers else f"other clips of {these}"
            found.append(f"The interval covers other seeds and {units}.")
        if self.part == "test":
            found.append("The best epochs were chosen on the validation clips, not on these test clips.")
        elif self.unread_test:
            found.append(
                "The best epochs were chosen on these very clips; the split has test clips, which not all of the "
                "trials have read: `lipkd evaluate TRIAL --split test` reads them."
            )
        else:
            found.append("The best epochs were chosen on these very clips.")
        return found

    def _sentence(self, rate: Rate, d: Difference) -> str:
        sign = -1 if d.mean <= 0 else 1
        way, points = ("ahead" if sign < 0 else "behind"), f"{100 * abs(d.mean):.1f} points"
        if d.certain:
            claim = f"{self.a} is {d.outcome} than {self.b} by {points}"
        elif d.mean == 0:
            claim = f"not shown that {self.a} differs from {self.b}: they are equal"
        else:
            claim = f"not shown that {self.a} differs from {self.b}: it is {way} by {points}"
        if d.low is not None and d.high is not None:
            ends = sorted((100 * sign * d.low, 100 * sign * d.high))
            claim += f" ({100 * self.level:g} % interval {ends[0]:.1f} to {ends[1]:.1f})"
        elif len(d.by_seed) == 1:
            claim += " with one seed, from which nothing follows for other seeds"
        agree = f"in {d.agreeing(d.by_seed)} seeds" if len(d.by_seed) > 1 else ""
        if len(d.by_speaker) > 1:
            agree += f"{' and ' if agree else ''}for {d.agreeing(d.by_speaker)} speakers"
        which = "" if self.width is None else f" of width {self.width:g}"
        mean = f", mean over peers{which}," if self.averaged else ""
        counts = f"{_number(d.edits_a)} against {_number(d.edits_b)} edits{mean} in {d.reference} {UNIT[rate]}"
        return f"{rate.upper()}: {claim}{', ' if agree else ''}{agree}; {counts}"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data; rates are 0–1, differences A - B."""
        found = asdict(self)
        for rate in RATES:
            found[rate] = {"outcome": getattr(self, rate).outcome, **found[rate]}
        return {**found, "notes": self.notes()}


def table(found: Sequence[MethodComparison]) -> str:
    """A row per comparison and rate, aligned by columns. Points are those of A against B: below 0 is better."""
    head = ("rate", "a", "b", "setting", "clips", "verdict", "points", "interval", "seeds", "speakers")
    rows = [head, *(_row(one, rate) for one in found for rate in RATES)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(r, widths, strict=True)).rstrip() for r in rows)


def _row(one: MethodComparison, rate: Rate) -> tuple[str, ...]:
    d: Difference = getattr(one, rate)
    width = {} if one.width is None else {"peers of width": f"{one.width:g}"}
    return (
        rate.upper(),
        one.a,
        one.b,
        ", ".join(f"{name} {value}" for name, value in {**one.setting, **width}.items()) or "–",
        f"{one.clips} {one.part}",
        d.outcome,
        f"{100 * d.mean:+.1f}",
        "–" if d.low is None or d.high is None else f"{100 * d.low:+.1f} to {100 * d.high:+.1f}",
        d.agreeing(d.by_seed),
        d.agreeing(d.by_speaker),
    )


def _number(edits: float) -> str:
    """A count, or a mean of counts with one decimal: `195`, `660.5`."""
    return f"{edits:.1f}".removesuffix(".0")
