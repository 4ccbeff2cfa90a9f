"""Is one method better than another, by how much, and is it luck?

    for every seed and clip: edits of A and of B against the same reference, means over their peers
    difference = corpus rate of A - corpus rate of B, averaged over the seeds
    interval   = percentiles of that difference when seeds and clips are drawn again with replacement

A paired bootstrap over clips (Bisani & Ney 2004) and over seeds: a clip that is hard for both and a seed
that is lucky for both cancel out. Only trials that differ in nothing but their cohort may be compared.
Peers are averaged, never picked: the best of two is better than one alone by choice, not by method. Of peers of
different widths those take part whose width the other side has too: a narrow peer beside a wide one against a
narrow network alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Literal, Protocol

import jiwer
import numpy as np
from numpy.typing import NDArray

from lipkd.config.trial_config import MACHINE, TrialConfig, differing_fields
from lipkd.errors import LipkdError
from lipkd.text import normalise

Rate = Literal["wer", "cer"]
DRAWS = 10_000
WIDTHS = ("cohort.widths", "network.width")  # two fields for one thing: `TrialConfig.widths` has what counts
MAY_DIFFER = ("seed", "data.digest", *MACHINE)  # what the stores hold is compared with the splits


class Readable(Protocol):
    """A trial that can be compared: a folder (`lipkd.trial.TrialFolder`), or what MLflow has kept of one. The methods
    give what that folder's methods of the same names give."""

    @property
    def name(self) -> str:
        """How the trial is called in a sentence."""

    def config(self) -> TrialConfig: ...

    def split(self) -> dict[str, Any]: ...

    def state(self) -> dict[str, Any]: ...

    def incomparable_reason(self) -> str:
        """Why it must not be compared with others; empty for one that may be."""

    def read_predictions(self, which: Literal["best"] = "best") -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class Difference:
    """A - B in one rate: the mean over seeds, its interval, and the difference of every seed.

    `edits_a`, `edits_b`: edits summed over seeds and clips, means over peers; `reference`: the words or
    characters that they are counted against.
    """

    mean: float
    low: float
    high: float
    by_seed: dict[int, float]
    edits_a: float
    edits_b: float
    reference: int

    @property
    def certain(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """Two methods at equal everything else, over the seeds that both have; `averaged`: one of them has peers, over
    which its edits are means; `width`: only peers of it took part, or None for all."""

    a: str
    b: str
    clips: int
    level: float
    wer: Difference
    cer: Difference
    averaged: bool
    width: float | None = None

    def verdict(self) -> str:
        """In words: which is better, by how many points, how sure, in how many seeds. One seed proves nothing: its
        interval knows the luck of the clips only."""
        return "\n".join(self._sentence(rate, getattr(self, rate)) for rate in ("wer", "cer"))

    def _sentence(self, rate: str, d: Difference) -> str:
        ahead, behind, sign = (self.a, d.edits_a), (self.b, d.edits_b), -1
        if d.mean > 0:
            ahead, behind, sign = behind, ahead, 1
        (better, fewer), (worse, more) = ahead, behind
        points = [100 * abs(d.mean), *sorted((100 * sign * d.low, 100 * sign * d.high))]
        agree = sum(sign * value > 0 for value in d.by_seed.values())
        unit = "words" if rate == "wer" else "characters"
        which = "" if self.width is None else f" of width {self.width:g}"
        mean = f", mean over peers{which}," if self.averaged else ""
        counts = f"{_number(fewer)} against {_number(more)} edits{mean} in {d.reference} {unit}"
        interval = f"{100 * self.level:g} % interval {points[1]:.1f} to {points[2]:.1f}"
        if d.mean == 0:
            return f"{rate.upper()}: {self.a} and {self.b} are equal ({counts})"
        claim = "is better" if d.certain else "is ahead, but it may be luck,"
        if len(d.by_seed) == 1:
            claim = "is ahead with the one seed there is, which may be luck,"
        return (
            f"{rate.upper()}: {better} {claim} by {points[0]:.1f} points against {worse}, {interval}, "
            f"in {agree} of {len(d.by_seed)} seeds ({counts})"
        )


def compare(
    a: Sequence[Readable], b: Sequence[Readable], *, width: float | None = None, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare the best epochs of trials `a` with those of trials `b`, paired by their seeds; with `width` only their
    peers of that width.

    Raises LipkdError when the two sides differ in more than the cohort (and says in what), when a side has
    two trials of one seed, when no seed has a trial on both sides, or when no width has a peer on both.
    """
    sides = [_by_seed(trials) for trials in (a, b)]
    seeds = sorted(sides[0].keys() & sides[1].keys())
    if not seeds:
        raise LipkdError(f"nothing to pair: seeds {sorted(sides[0])} on one side, {sorted(sides[1])} on the other")
    first, other = (side[seeds[0]] for side in sides)
    for side in sides:
        for number in seeds:
            _same_but_for_the_cohort(first, side[number])
        for number in seeds[1:]:
            _same_but_for_the_cohort(side[seeds[0]], side[number], cohort=True)
    width = _common_width(first, other, width)

    def difference(rate: Rate) -> Difference:
        ours, theirs = ([_edits(side[number], rate, width) for number in seeds] for side in sides)
        return _difference(ours, theirs, seeds, level, seed)

    averaged = any(trial.config().cohort.peers > 1 for trial in (first, other))
    clips = len(first.split()["val"])
    names = describe(first), describe(other)
    return Comparison(*names, clips, level, difference("wer"), difference("cer"), averaged, width)


def _common_width(one: Readable, other: Readable, wanted: float | None) -> float | None:
    """The width of the peers to compare, None where all are alike or both sides have as many of each."""
    ours, theirs = one.config().widths, other.config().widths
    common = sorted(set(ours) & set(theirs))
    if not common or (wanted is not None and wanted not in common):
        having = "the same width" if wanted is None else f"width {wanted:g}"
        said = " and ".join("+".join(f"{w:g}" for w in dict.fromkeys(widths)) for widths in (ours, theirs))
        raise LipkdError(f"{one.name} and {other.name} cannot be compared: no peers of {having} on both sides ({said})")
    if wanted is not None:
        return wanted if len({*ours, *theirs}) > 1 else None
    if sorted(ours) == sorted(theirs) or {*ours, *theirs} == {common[0]}:
        return None
    if len(common) > 1:
        choice = " or ".join(f"{w:g}" for w in common)
        raise LipkdError(f"{one.name} and {other.name} have other shares of each width: name one of {choice}")
    return common[0]


def compare_all(trials: Sequence[Readable]) -> list[Comparison]:
    """Every cohort of a sweep against vanilla, and every taught one against independent peers, at equal everything
    else; peers of different widths width by width.

    Trials that have not finished or say that they are not comparable, and cohorts without a control, are left out.
    """
    groups: dict[str, dict[str, list[Readable]]] = {}
    for trial in trials:
        if trial.state()["state"] == "finished" and not trial.incomparable_reason():
            config = trial.config()
            value = config.to_json()
            cohort = json.dumps({**value.pop("cohort"), "widths": config.widths}, sort_keys=True)
            del value["seed"], value["data"]["store"], value["network"]["width"]
            value["data"]["digest"] = trial.split()["store_digest"]
            groups.setdefault(json.dumps(value, sort_keys=True), {}).setdefault(cohort, []).append(trial)
    found = []
    for cohorts in groups.values():
        for name, members in cohorts.items():
            own = json.loads(name)
            for control, others in cohorts.items():
                widths = _controlled_widths(json.loads(control), own)
                found += [compare(members, others, width=width) for width in widths]
    return found


def _controlled_widths(control: dict[str, Any], cohort: dict[str, Any]) -> list[float]:
    """The widths at which a cohort has this control: vanilla of one of its widths; for peers that are taught as many
    independent ones of the same widths, and for such of different widths independent peers that are all of one."""
    alone, taught = control["peers"] == 1, control["method"] == "independent" != cohort["method"]
    theirs, ours = {*control["widths"]}, {*cohort["widths"]}
    if cohort["peers"] == 1 or not (alone or taught):
        return []
    if control["widths"] == cohort["widths"]:
        return sorted(ours)
    return sorted(theirs & ours) if alone or (len(theirs) == 1 < len(ours)) else []


def describe(trial: Readable) -> str:
    """`vanilla` or `attention ×2`, options that are not at their defaults, the network if it is not `lipnet`, and the
    width."""
    config, cohort = trial.config(), trial.config().cohort
    method = "vanilla"
    if cohort.peers > 1:
        options = cohort.model_dump(exclude_defaults=True, exclude={"method", "peers", "widths"})
        named = (f"{name.replace('_', ' ')} {value}" for name, value in options.items())
        method = ", ".join([f"{cohort.method} ×{cohort.peers}", *named])
    network = "" if config.network.name == "lipnet" else f"{config.network.name}, "
    return f"{method} ({network}width {'+'.join(f'{w:g}' for w in dict.fromkeys(config.widths))})"


def _number(edits: float) -> str:
    """A count, or a mean of counts with one decimal: `195`, `660.5`."""
    return f"{edits:.1f}".removesuffix(".0")


def _by_seed(trials: Sequence[Readable]) -> dict[int, Readable]:
    found: dict[int, Readable] = {}
    for trial in trials:
        seed = trial.config().seed
        if seed in found:
            raise LipkdError(f"seed {seed}: {found[seed].name} and {trial.name} are on the same side")
        found[seed] = trial
    return found


def _same_but_for_the_cohort(one: Readable, other: Readable, *, cohort: bool = False) -> None:
    a, b = one.config(), other.config()
    allowed = MAY_DIFFER if cohort else ("cohort.", *WIDTHS, *MAY_DIFFER)
    if a.widths == b.widths:
        allowed = (*WIDTHS, *allowed)
    fields = differing_fields(a.to_json(), b.to_json())
    problems = [field for field in fields if not field.startswith(allowed)]
    if one.split() != other.split():
        problems.append("the split or the store's content")
    if problems:
        raise LipkdError(f"{one.name} and {other.name} cannot be compared: they differ in {', '.join(problems)}")
    for trial in (one, other):
        if trial.state()["state"] != "finished":
            raise LipkdError(f"{trial.name} cannot be compared: it is {trial.state()['state']}, not finished")
        if reason := trial.incomparable_reason():
            raise LipkdError(f"{trial.name} cannot be compared: {reason}")


def _edits(trial: Readable, rate: Rate, width: float | None) -> NDArray[np.float64]:
    """(2, clips): edits of the best epoch, averaged over the peers (of a width), and reference lengths."""
    process = jiwer.process_words if rate == "wer" else jiwer.process_characters
    config = trial.config()
    taken = [width is None or own == width for own in config.widths]
    characters = config.data.alphabet
    columns = []
    for row in sorted(trial.read_predictions("best"), key=lambda row: str(row["id"])):
        truth = normalise(row["reference"], "letters", characters)
        hypotheses = [normalise(text, "letters", characters) for text in compress(row["hypotheses"], taken)]
        outputs = [process(truth, hypothesis) for hypothesis in hypotheses]
        edits = np.mean([o.substitutions + o.deletions + o.insertions for o in outputs])
        columns.append((edits, outputs[0].hits + outputs[0].substitutions + outputs[0].deletions))
    return np.array(columns, dtype=np.float64).T


def _difference(
    a: list[NDArray[np.float64]], b: list[NDArray[np.float64]], seeds: list[int], level: float, seed: int
) -> Difference:
    """a, b: per seed (2, clips), as `_edits` gives them."""
    edits = np.stack([np.stack([x[0] for x in side]) for side in (a, b)])  # (2, seeds, clips)
    lengths = a[0][1]  # (clips,), the same for all
    gaps = (edits[0] - edits[1]).sum(1) / lengths.sum()  # (seeds,)
    rng = np.random.default_rng(seed)
    drawn = np.empty(DRAWS)
    for i in range(DRAWS):
        clips = rng.integers(0, len(lengths), len(lengths))
        which = rng.integers(0, len(seeds), len(seeds))
        pair = edits[:, which][:, :, clips]
        drawn[i] = (pair[0] - pair[1]).sum(1).mean() / lengths[clips].sum()
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Difference(
        mean=float(gaps.mean()),
        low=float(low),
        high=float(high),
        by_seed={s: float(gap) for s, gap in zip(seeds, gaps, strict=True)},
        edits_a=float(edits[0].sum()),
        edits_b=float(edits[1].sum()),
        reference=int(lengths.sum()) * len(seeds),
    )
