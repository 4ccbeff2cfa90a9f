"""Population-based training (Jaderberg et al. 2017), in step: which trial copies which, and its new values.

    a population = trials of a sweep that differ in nothing but what is mutated
    after every `every_epochs` epochs, once all of a population are there:
        rank them by the metric
        exploit: each of the worst quantile copies one of the best quantile (truncation selection)
        explore: each mutated value of its parent is drawn anew with probability `resample`, else moved one step

Everything here is a pure function of scores, values and (sampler_seed, epoch, trial): the same sweep makes the same
choices on any machine, however often it is killed (tuning/pbt/generations.py does what is decided here).
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lipkd.config.schedule import config_at, scheduled_keys, value_of, with_changes
from lipkd.config.trial_config import MACHINE, TrialConfig, changeable
from lipkd.errors import LipkdError
from lipkd.runtime.seeds import derive
from lipkd.trial import TrialFolder
from tuning.pbt.lineage import Exploit, schedule_changes
from tuning.plan.planner import Plan, Planned
from tuning.plan.space import Choice, Dimension, Space, draw, values_at
from tuning.plan.sweep_config import SchedulerConfig

STEPS = (0.8, 1.2)  # what a number is multiplied by, as in the paper

Values = dict[str, int | float]


def populations(trials: Iterable[Planned], mutated: Iterable[str]) -> list[list[Planned]]:
    """The trials whose weights fit each other, in order: equal but for the mutated keys. So each seed, each method and
    each width is a population of its own."""
    keys = {*mutated, *MACHINE}
    found: dict[str, list[Planned]] = {}
    for trial in trials:
        content = trial.config.to_json()
        for key in keys - {"data.store"} if trial.config.data.digest is None else keys:
            part, _, name = key.partition(".")
            del content[part][name]
        found.setdefault(json.dumps(content, sort_keys=True), []).append(trial)
    return list(found.values())


def populations_text(plan: Plan) -> str:
    """A line of the plan: how many populations there are, and what they exchange when."""
    scheduler = plan.sweep.stopping
    sizes = sorted(len(population) for population in populations(plan.trials, scheduler.mutate))
    each = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    most = quantile_of(sizes[-1], scheduler.quantile)
    return (
        f"  {len(sizes)} populations of {each} trials; every {scheduler.every_epochs} epochs the worst {most} go "
        f"on from the best {most}, with {', '.join(scheduler.mutate)} changed"
    )


def check(trials: Sequence[Planned], scheduler: SchedulerConfig, where: str) -> None:
    """Raises LipkdError, which says what is allowed, for trials that cannot be trained as populations."""
    mutated = ", ".join(scheduler.mutate)
    for trial in trials:
        training = trial.config.training
        if training.epochs <= scheduler.every_epochs:
            raise LipkdError(
                f"{where}: scheduler.every_epochs = {scheduler.every_epochs}: has to be below training.epochs = "
                f"{training.epochs}, or no trial ever copies another"
            )
        if training.patience:
            raise LipkdError(f"{where}: training.patience = {training.patience}: has to be 0 in a population")
        if both := scheduled_keys(trial.config) & scheduler.mutate.keys():
            raise LipkdError(f"{where}: {', '.join(sorted(both))}: in the trial's schedule and mutated; choose one")
        if "training.word_weight" in scheduler.mutate and not training.word_weight:
            raise LipkdError(f"{where}: training.word_weight is mutated: a trial that begins with 0 has no words")
    for population in populations(trials, scheduler.mutate):
        if len(population) < 2:
            raise LipkdError(
                f"{where}: scheduler pbt: {population[0].name} is alone; a population is two trials or more that "
                f"differ in nothing but {mutated}, so let the space vary that"
            )


def values_now(config: TrialConfig, folder: TrialFolder, keys: Iterable[str], epoch: int) -> Values:
    """The values of the mutated keys of a trial after an epoch, with those of its exploits."""
    now = config_at(with_changes(config, schedule_changes(folder)), epoch)
    return {key: value_of(now, key) for key in keys}


def choose_exploits(
    scores: Mapping[str, float],
    values: Mapping[str, Values],
    scheduler: SchedulerConfig,
    *,
    mode: str,
    seed: int,
    epoch: int,
) -> dict[str, Exploit]:
    """The exploits of a population after an epoch: trial → whose weights it copies, and its new values.

    `scores` and `values` are those of the trials that are there, in order; of equal scores the earlier ranks higher.
    Only a strictly better trial is copied.
    """
    sign = 1 if mode == "min" else -1
    ranked = sorted(scores, key=lambda name: sign * scores[name])
    count = quantile_of(len(ranked), scheduler.quantile)
    chosen = {}
    for name in ranked[len(ranked) - count :]:
        better = [other for other in ranked[:count] if sign * scores[other] < sign * scores[name]]
        if better:
            rng = np.random.default_rng(derive(seed, "population", epoch, name))
            parent = better[int(rng.integers(len(better)))]
            changed = explore(values[parent], scheduler.mutate, scheduler.resample, rng)
            chosen[name] = Exploit(epoch, parent, values[name], changed)
    return chosen


def quantile_of(count: int, quantile: float) -> int:
    """How many are at either end: the quantile, rounded up, and never more than half."""
    return min(math.ceil(quantile * count), count // 2)


def explore(values: Values, mutate: Space, resample: float, rng: np.random.Generator) -> Values:
    """New values near those of the parent: each drawn anew with probability `resample`, else moved one step."""
    found: Values = {}
    for key, dimension in mutate.items():
        moved = None if rng.random() < resample else _step(values[key], dimension, up=rng.random() < 0.5)
        if moved is None:
            alone = {key: dimension}
            moved = values_at(alone, draw(alone, rng))[key]
        found[key] = changeable(key, moved)
    return found


def _step(value: float, dimension: Dimension, *, up: bool) -> Any:
    """The neighbour in a list, or the number times 1.2 or 0.8 within its range (a whole one moves by 1 at least); None
    for a value that is not in the list."""
    if isinstance(dimension, Choice):
        if value not in dimension.values:
            return None
        place = dimension.values.index(value) + (1 if up else -1)
        return dimension.values[min(max(place, 0), len(dimension.values) - 1)]
    moved = value * STEPS[up]
    if dimension.whole and round(moved) == value:
        moved = value + (1 if up else -1)
    return dimension.fit(moved)
