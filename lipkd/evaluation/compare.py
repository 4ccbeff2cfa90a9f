"""Is one method better than another, by how much, and is it luck?

    for every seed and clip: edits of A and of B against the same reference, means over their peers
    difference = corpus rate of A - corpus rate of B, averaged over the seeds
    interval   = what other seeds, and other speakers or clips, would make of it (lipkd/evaluation/interval.py)

Trials are paired by seed and clip: a clip that is hard for both and a seed that is lucky for both cancel out. Only
trials that differ in nothing but their cohort may be compared. Where a split holds out speakers (`unseen`) the
interval counts what other speakers would change. The test clips are compared where all trials have read them.
Peers are averaged, never picked: the best of two is better than one alone by choice, not by method. Of peers of
different widths those take part whose width the other side has too: a narrow peer beside a wide one against a
narrow network alone.
"""

import json
from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np

from lipkd.errors import LipkdError
from lipkd.evaluation.clip_errors import PREDICTIONS, ErrorTable, Part, Rate, Readable, speakers_of
from lipkd.evaluation.comparison import Difference, MethodComparison
from lipkd.evaluation.interval import Floats, variances
from lipkd.evaluation.matching import differing, surroundings


def compare(
    a: Sequence[Readable],
    b: Sequence[Readable],
    *,
    width: float | None = None,
    level: float = 0.95,
    errors: ErrorTable | None = None,
    setting: dict[str, str] | None = None,
) -> MethodComparison:
    """Compare the best epochs of trials `a` with those of trials `b`, paired by their seeds; with `width` only their
    peers of that width. `errors` keeps counted edits for further comparisons; `setting` goes into the heading.

    Raises LipkdError when the two sides differ in more than the cohort (and says in what), when a side has
    two trials of one seed, when no seed has a trial on both sides, or when no width has a peer on both.
    """
    pair = Pair(a, b, width, errors or ErrorTable())
    wer, cer = (_difference(pair, rate, level) for rate in ("wer", "cer"))
    averaged = any(trial.config().cohort.peers > 1 for trial in (pair.first, pair.other))
    names = describe(pair.first), describe(pair.other)
    return MethodComparison(
        *names,
        part=pair.part,
        clips=len(pair.ids),
        level=level,
        other_speakers=pair.other_speakers,
        wer=wer,
        cer=cer,
        averaged=averaged,
        width=pair.width,
        unread_test=pair.unread_test,
        setting=setting or {},
    )


class Pair:
    """Two sides that may be compared, and their edits. The constructor raises LipkdError where they may not."""

    def __init__(self, a: Sequence[Readable], b: Sequence[Readable], width: float | None, errors: ErrorTable) -> None:
        by_seed = [_by_seed(trials) for trials in (a, b)]
        self.seeds = sorted(by_seed[0].keys() & by_seed[1].keys())
        if not self.seeds:
            seeds = [sorted(side) for side in by_seed]
            raise LipkdError(f"nothing to pair: seeds {seeds[0]} on one side, {seeds[1]} on the other")
        self.sides = [[side[seed] for seed in self.seeds] for side in by_seed]
        self.first, self.other = (side[0] for side in self.sides)
        for side in self.sides:
            for trial in side:
                _require_equal(self.first, trial)
                _require_equal(side[0], trial, cohort=True)
        self.width = _common_width(self.first, self.other, width)
        trials = [trial for side in self.sides for trial in side]
        has_test = bool(self.first.split().get("test"))
        self.unread_test = has_test and not all(trial.read_predictions(PREDICTIONS["test"]) for trial in trials)
        self.part: Part = "test" if has_test and not self.unread_test else "val"
        self.errors = errors
        self.ids = errors.of(self.first, self.part).ids
        if odd := [trial.name for trial in trials if errors.of(trial, self.part).ids != self.ids]:
            raise LipkdError(f"{odd[0]} cannot be compared: its predictions are of other clips than its split")
        self.speakers = speakers_of(self.ids)
        unseen = self.first.config().data.scenario == "unseen"
        self.other_speakers = unseen and len(set(self.speakers)) > 1

    @property
    def units(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(clips,): the unit of every clip for the interval, its speaker or itself."""
        names = self.speakers if self.other_speakers else self.ids
        return np.unique(names, return_inverse=True)[1].astype(np.int64)

    def edits(self, rate: Rate) -> Floats:
        """(2, seeds, clips): edits of A and B, means over the peers that take part."""
        return np.stack([np.stack([self._of(trial, rate) for trial in side]) for side in self.sides])

    def lengths(self, rate: Rate) -> Floats:
        """(clips,): reference lengths."""
        return self.errors.of(self.first, self.part).lengths[rate]

    def _of(self, trial: Readable, rate: Rate) -> Floats:
        edits = self.errors.of(trial, self.part).edits[rate]
        taken = [self.width is None or own == self.width for own in trial.config().widths]
        return np.mean(list(compress(edits, taken)), axis=0)


def usable(trials: Sequence[Readable], errors: ErrorTable) -> tuple[list[Readable], dict[str, str]]:
    """The trials of a sweep that can be compared, and why the others cannot, by name: they have not finished, say
    themselves that they are not comparable, or are damaged."""
    found, left_out = [], {}
    for trial in trials:
        try:
            _require_finished(trial)
            errors.of(trial, "val")
        except LipkdError as error:
            left_out[trial.name] = str(error).removeprefix(f"{trial.name} cannot be compared: ")
        else:
            found.append(trial)
    return found, left_out


def compare_sweep(trials: Sequence[Readable], errors: ErrorTable | None = None) -> list[MethodComparison]:
    """Every cohort of a sweep against vanilla, and every taught one against independent peers, at equal everything
    else; peers of different widths width by width.

    Trials that cannot be compared, which `usable` names, and cohorts without a control are left out.
    """
    errors = errors or ErrorTable()
    pairs = controlled(usable(trials, errors)[0])
    return [compare(*sides, width=width, errors=errors, setting=own) for sides, width, own in pairs]


Controlled = tuple[tuple[list[Readable], list[Readable]], float | None, dict[str, str]]


def controlled(trials: Sequence[Readable]) -> list[Controlled]:
    """The cohorts among finished trials with their controls: both sides, the width at which they are compared, and in
    what they differ from the other pairs beside their cohorts."""
    groups: dict[str, dict[str, list[Readable]]] = {}
    for trial in trials:
        group = groups.setdefault(json.dumps(_surroundings(trial), sort_keys=True), {})
        group.setdefault(json.dumps(_cohort(trial), sort_keys=True), []).append(trial)
    found: list[Controlled] = []
    settings = [json.loads(key) for key in groups]
    varying = differing(settings) if settings else []
    for setting, cohorts in zip(settings, groups.values(), strict=True):
        own = {name.rpartition(".")[2].replace("_", " "): setting.get(name, "–") for name in varying}
        for name, members in cohorts.items():
            for control, others in cohorts.items():
                widths = _controlled_widths(json.loads(control), json.loads(name))
                found += [((members, others), width, own) for width in widths]
    return found


def _surroundings(trial: Readable) -> dict[str, str]:
    return surroundings(trial.config().flat(), trial.split()["store_digest"])


def _cohort(trial: Readable) -> dict[str, Any]:
    """What makes two cohorts the same: all of its options, the width of every peer, and nothing for a single peer,
    who has nobody to learn from, but its width."""
    config = trial.config()
    options = config.cohort.model_dump(mode="json") if config.cohort.peers > 1 else {}
    return {**options, "peers": config.cohort.peers, "widths": list(config.widths)}


def _controlled_widths(control: dict[str, Any], cohort: dict[str, Any]) -> list[float]:
    """The widths at which a cohort has this control: vanilla of one of its widths; for peers that are taught as many
    independent ones of the same widths, and for such of different widths independent peers that are all of one."""
    if cohort["peers"] == 1:
        return []
    alone = control["peers"] == 1
    if not alone and (control["method"] != "independent" or cohort["method"] == "independent"):
        return []
    theirs, ours = {*control["widths"]}, {*cohort["widths"]}
    if control["widths"] == cohort["widths"]:
        return sorted(ours)
    return sorted(theirs & ours) if alone or (len(theirs) == 1 < len(ours)) else []


def _common_width(one: Readable, other: Readable, wanted: float | None) -> float | None:
    """The width of the peers to compare, None where all are alike or both sides have as many of each."""
    ours, theirs = one.config().widths, other.config().widths
    common = sorted(set(ours) & set(theirs))
    if not common or (wanted is not None and wanted not in common):
        having = "the same width" if wanted is None else f"width {wanted:g}"
        both = " and ".join("+".join(f"{w:g}" for w in dict.fromkeys(widths)) for widths in (ours, theirs))
        raise LipkdError(f"{one.name} and {other.name} cannot be compared: no peers of {having} on both sides ({both})")
    if wanted is not None:
        return wanted if len({*ours, *theirs}) > 1 else None
    if sorted(ours) == sorted(theirs) or {*ours, *theirs} == {common[0]}:
        return None
    if len(common) > 1:
        choice = " or ".join(f"{w:g}" for w in common)
        raise LipkdError(f"{one.name} and {other.name} have other shares of each width: name one of {choice}")
    return common[0]


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


def _by_seed(trials: Sequence[Readable]) -> dict[int, Readable]:
    found: dict[int, Readable] = {}
    for trial in trials:
        seed = trial.config().seed
        if seed in found:
            raise LipkdError(f"seed {seed}: {found[seed].name} and {trial.name} are on the same side")
        found[seed] = trial
    return found


def _require_equal(one: Readable, other: Readable, *, cohort: bool = False) -> None:
    """Raise LipkdError unless both have finished, may be compared, and are equal in everything but the cohort; with
    `cohort` in that as well."""
    problems = [name for name in differing([_surroundings(one), _surroundings(other)]) if name != "data.digest"]
    if cohort:
        problems += [f"cohort.{name}" for name in differing([_as_text(_cohort(one)), _as_text(_cohort(other))])]
    if one.split() != other.split():
        problems.append("the split or the store's content")
    if problems:
        raise LipkdError(f"{one.name} and {other.name} cannot be compared: they differ in {', '.join(problems)}")
    for trial in (one, other):
        _require_finished(trial)


def _require_finished(trial: Readable) -> None:
    if trial.state()["state"] != "finished":
        raise LipkdError(f"{trial.name} cannot be compared: it is {trial.state()['state']}, not finished")
    if reason := trial.incomparable_reason():
        raise LipkdError(f"{trial.name} cannot be compared: {reason}")


def _as_text(values: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in values.items()}


def _difference(pair: Pair, rate: Rate, level: float) -> Difference:
    edits, lengths = pair.edits(rate), pair.lengths(rate)
    gaps = edits[0] - edits[1]  # (seeds, clips)
    by_seed = gaps.sum(1) / lengths.sum()
    mean, half = float(by_seed.mean()), None
    units = pair.units
    if len(pair.seeds) > 1 and units.max() > 0:
        half = float(variances(gaps, lengths, units).half_width(level))
    speakers = np.array(pair.speakers)
    each = {name: speakers == name for name in dict.fromkeys(pair.speakers)}
    return Difference(
        mean=mean,
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
        by_seed={seed: float(gap) for seed, gap in zip(pair.seeds, by_seed, strict=True)},
        by_speaker={n: float(gaps[:, own].mean(0).sum() / lengths[own].sum()) for n, own in each.items()},
        edits_a=float(edits[0].sum()),
        edits_b=float(edits[1].sum()),
        reference=int(lengths.sum()) * len(pair.seeds),
    )
