"""Settings: trials that differ in nothing but their seed and the machine, and what their seeds say together."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy.special import stdtrit

from dashboard.tracking.records import Curve, Trial
from lipkd.evaluation.matching import deciding, differing, surroundings


@dataclass(frozen=True)
class Setting:
    """Trials of one setting, one or more per seed; `label` is unique among the settings of its sweep."""

    label: str
    group: str
    width: str
    trials: tuple[Trial, ...]

    @property
    def seeds(self) -> int:
        return len({trial.seed for trial in self.trials})

    @property
    def best(self) -> float:
        """Mean best WER of its trials with a result (0–1); infinite when there is none."""
        wers = [trial.best_wer for trial in self.trials if trial.best_wer is not None]
        return fmean(wers) if wers else math.inf


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % interval by Student's t; no interval for one value."""

    mean: float
    low: float | None
    high: float | None


def settings(trials: Sequence[Trial]) -> list[Setting]:
    """The settings of a sweep, the lowest mean WER first. A label has group and width, and every other parameter in
    which the settings of equal group and width differ."""
    known = [_parameters(trial) for trial in trials]
    names = [name for name in differing(known) if name != "seed"]
    found: dict[tuple[str | None, ...], list[Trial]] = defaultdict(list)
    for trial, parameters in zip(trials, known, strict=True):
        found[tuple(map(parameters.get, names))].append(trial)
    alike: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    owns = {key: {n: v for n, v in zip(names, key, strict=True) if v is not None} for key in found}
    for key, members in found.items():
        alike[members[0].group, members[0].width].append(owns[key])
    made = []
    different = {named: differing(parameters) for named, parameters in alike.items()}
    for key, members in found.items():
        group, width = members[0].group, members[0].width
        own = owns[key]
        more = [f"{name.rpartition('.')[2].replace('_', ' ')} {own.get(name, '–')}" for name in different[group, width]]
        label = ", ".join([group, f"width {width}", *more])
        made.append(Setting(label, group, width, tuple(sorted(members, key=lambda trial: trial.seed))))
    return sorted(made, key=lambda setting: (setting.best, setting.label))


def controls(found: Sequence[Setting]) -> dict[str, Setting]:
    """Vanilla at equal everything else but the cohort, by the label of the setting that it is the control of."""
    vanilla = {_surroundings(setting): setting for setting in found if setting.group == "vanilla"}
    taught = [setting for setting in found if setting.group != "vanilla"]
    return {setting.label: vanilla[key] for setting in taught if (key := _surroundings(setting)) in vanilla}


def interval(values: Sequence[float]) -> Interval:
    """The mean of one or more values, and where the mean of many such would be with 95 % confidence."""
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, None, None)
    half = float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def setting_rows(found: Sequence[Setting]) -> list[dict[str, Any]]:
    """A row per setting with a finished trial, rates 0–1: means over its finished trials, and the WER's interval."""
    rows = []
    for setting in found:
        over = [t for t in setting.trials if t.state == "finished" and t.best_wer is not None]
        if over:
            wer = interval([t.best_wer or 0.0 for t in over])
            cers = [t.best_cer for t in over if t.best_cer is not None]
            minutes = [t.seconds / 60 for t in over if t.seconds is not None]
            rows.append(
                {
                    "setting": setting.label,
                    "seeds": len({t.seed for t in over}),
                    "wer": wer.mean,
                    "low": wer.low,
                    "high": wer.high,
                    "lowest": min(t.best_wer or 0.0 for t in over),
                    "highest": max(t.best_wer or 0.0 for t in over),
                    "cer": fmean(cers) if cers else None,
                    "minutes": fmean(minutes) if minutes else None,
                }
            )
    return sorted(rows, key=lambda row: (row["wer"], row["setting"]))


def band_rows(setting: Setting, curves: Sequence[Curve], factor: float) -> list[dict[str, Any]]:
    """A row per epoch that all of the setting's curves have reached: mean, lowest and highest over them. A mean over
    fewer seeds towards the end would jump without a reason."""
    values = [dict(zip(curve.steps, curve.values, strict=True)) for curve in curves if curve.steps]
    shared = sorted(set.intersection(*(set(one) for one in values))) if values else []
    rows = []
    for epoch in shared:
        now = [factor * one[epoch] for one in values]
        place = {"setting": setting.label, "group": setting.group, "width": setting.width, "epoch": epoch}
        rows.append(place | {"mean": fmean(now), "low": min(now), "high": max(now), "trials": len(now)})
    return rows


def _parameters(trial: Trial) -> dict[str, str]:
    """What decides the numbers, the seed too."""
    rest = deciding(trial.config, trial.store_digest)
    if trial.incomparable_reason:  # it is more than its configuration says, and like no other
        rest["trial"] = trial.name
    tags = {"cohort.method": trial.method, "cohort.peers": str(trial.peers), "network.width": trial.width}
    return tags | {"training.batch_size": str(trial.batch_size)} | rest


def _surroundings(setting: Setting) -> tuple[str, frozenset[tuple[str, str]]]:
    trial = setting.trials[0]
    return setting.width, frozenset(surroundings(_parameters(trial), trial.store_digest).items())
