"""Is a method better than the baseline when everything else is equal?

Trials are compared in pairs that agree in every parameter but the cohort's (lipkd/evaluation/matching.py), in the width
and in the seed. A difference of two such trials is due to the method and to chance, to nothing else.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from dashboard.tracking.records import Trial
from lipkd.config.trial_config import MACHINE
from lipkd.evaluation.matching import surroundings

# Of the parameters `data.*` those that don't choose clips; the digest is the store's, which a trial has anyway.
NOT_WHICH_CLIPS = ("data.crop", "data.zoom", "data.alphabet", "data.digest", *MACHINE)


@dataclass(frozen=True)
class Gain:
    """A group against the baseline at one width and batch size: mean best rates over the pairs (0–1)."""

    group: str
    width: str
    batch_size: int
    pairs: int
    better: int
    baseline_wer: float
    wer: float
    baseline_cer: float
    cer: float

    @property
    def wer_points(self) -> float:
        """How many points of WER lower than the baseline; negative when it is worse."""
        return 100 * (self.baseline_wer - self.wer)

    @property
    def cer_points(self) -> float:
        """How many points of CER lower than the baseline; negative when it is worse."""
        return 100 * (self.baseline_cer - self.cer)


def gains(trials: Sequence[Trial], baseline: str) -> list[Gain]:
    """Every group of finished trials against the group `baseline`, by width and batch size, widest first."""
    finished = [t for t in trials if t.state == "finished" and t.best_wer is not None and t.best_cer is not None]
    finished = [t for t in finished if not t.incomparable_reason]

    def surroundings_of(trial: Trial) -> tuple[object, ...]:
        shared = frozenset(surroundings(trial.config, trial.store_digest).items())
        return (trial.width, trial.batch_size, trial.seed, shared)

    base: dict[tuple[object, ...], list[Trial]] = defaultdict(list)
    for trial in finished:
        if trial.group == baseline:
            base[surroundings_of(trial)].append(trial)
    pairs: dict[tuple[str, str, int], list[tuple[Trial, Trial]]] = defaultdict(list)
    for trial in finished:
        if trial.group != baseline:
            for other in base[surroundings_of(trial)]:
                pairs[trial.group, trial.width, trial.batch_size].append((other, trial))
    found = [_gain(*key, matched) for key, matched in pairs.items()]
    return sorted(found, key=lambda g: (-width_value(g.width), g.batch_size, g.group))


def groups(trials: Sequence[Trial]) -> list[str]:
    """The groups among the trials: vanilla first, then the control `independent`, then the methods by name."""
    order = {"vanilla": 0, "independent": 1}
    known = {(order.get(t.method, 2), t.method, t.peers, t.group) for t in trials}
    return [group for *_, group in sorted(known)]


def width_value(width: str) -> float:
    """A number to sort widths by: the largest width of the cohort, 0 for a width that nobody gave."""
    try:
        return max(float(part) for part in width.split("+"))
    except ValueError:
        return 0.0


def together(trials: Sequence[Trial]) -> list[Trial]:
    """The trials of several sweeps, the best first. What two of them share, a trial of one name with one result, is
    there once: twice it would count as two seeds."""
    found: dict[object, Trial] = {}
    for trial in trials:
        found.setdefault((trial.name, trial.store_digest, trial.epochs, trial.best_wer, trial.best_cer), trial)
    return sorted(found.values(), key=lambda trial: trial.rank)


def clips_of(trial: Trial) -> tuple[str, ...]:
    """What decides which clips a trial is validated on."""
    chosen = sorted(name for name in trial.config if name.startswith("data.") and name not in NOT_WHICH_CLIPS)
    return (trial.store_digest, *(f"{name} {trial.config[name]}" for name in chosen))


def _gain(group: str, width: str, batch_size: int, pairs: list[tuple[Trial, Trial]]) -> Gain:
    def mean(side: int, rate: str) -> float:
        return fmean(getattr(pair[side], rate) for pair in pairs)

    return Gain(
        group=group,
        width=width,
        batch_size=batch_size,
        pairs=len(pairs),
        better=sum((b.best_wer or 0) < (a.best_wer or 0) for a, b in pairs),
        baseline_wer=mean(0, "best_wer"),
        wer=mean(1, "best_wer"),
        baseline_cer=mean(0, "best_cer"),
        cer=mean(1, "best_cer"),
    )
