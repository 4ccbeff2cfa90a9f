"""From a sweep file to a plan: every configuration is parsed, and its data opened, before a trial starts."""

import copy
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lipkd.config.trial_config import TrialConfig, differing_fields, parse_config
from lipkd.data.splits import make_split
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.text import Alphabet
from lipkd.training.resolve import resolve
from tuning.plan.space import Point, corners, draw, size, values_at
from tuning.plan.sweep_config import SweepConfig

MOST_TRIALS = 10_000  # of a grid; also the most corners of another space that are parsed beforehand
TRIAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
PATIENCE = 100  # draws in a row that bring nothing new before a small space counts as exhausted


@dataclass(frozen=True)
class Planned:
    """A trial to be trained; `values` is its place in the search space (key → value)."""

    name: str
    config: TrialConfig
    values: dict[str, Any] = field(default_factory=dict)

    def with_threads(self, threads: int) -> "Planned":
        """The trial with so many processor threads, unless its configuration says how many."""
        if self.config.training.threads:
            return self
        training = self.config.training.model_copy(update={"threads": threads})
        return replace(self, config=self.config.model_copy(update={"training": training}))

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "config": self.config.to_json(), "values": self.values}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Planned":
        """Raises LipkdError, KeyError or TypeError for what is no trial; its name is that of a folder, and no path."""
        name, values = row["name"], row["values"]
        if not isinstance(name, str) or not TRIAL_NAME.fullmatch(name):
            raise LipkdError(f"{name!r} is not the name of a trial")
        if not isinstance(values, dict):
            raise LipkdError(f"trial {name}: values = {values!r}")
        return cls(name, parse_config(row["config"], f"trial {name}"), values)


@dataclass(frozen=True)
class Planner:
    """Makes trials of a sweep; relative stores, and trials to start from, are relative to `root`; every trial gets
    `threads`."""

    sweep: SweepConfig
    root: Path
    threads: int = 0
    where: str = "sweep"

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """Seeds of every configuration; None is the one that the trial section gives."""
        return self.sweep.seeds or (None,)

    def trial(self, point: Point, seed: int | None) -> Planned:
        """The trial at a point; raises LipkdError that names the field of the space or of the trial."""
        values = values_at(self.sweep.space, point)
        content = copy.deepcopy(self.sweep.trial)
        for key, value in values.items():
            _put(content, key, value, self.where)
        if seed is not None:
            content["seed"] = seed
        self._settle(content)
        try:
            config = self._resolved(content, f"{self.where}, space" if values else f"{self.where}, trial")
        except LipkdError as error:
            raise self._blame(error) from error
        return Planned(config.trial_name(), config, values)

    @staticmethod
    def _resolved(content: Any, where: str) -> TrialConfig:
        return resolve(parse_config(content, where), where)

    def _settle(self, content: dict[str, Any]) -> None:
        """Workers have another working folder, and their threads follow from the resources."""
        data = content.get("data")
        if isinstance(data, dict) and isinstance(data.get("store"), str):
            data["store"] = str((self.root / Path(data["store"]).expanduser()).absolute())
        training = content.setdefault("training", {})
        if isinstance(training, dict) and self.threads and not training.get("threads"):
            training["threads"] = self.threads
        if isinstance(training, dict) and isinstance(training.get("init_from"), str):
            training["init_from"] = str((self.root / Path(training["init_from"]).expanduser()).absolute())

    def _blame(self, error: LipkdError) -> LipkdError:
        """An error that the trial section has without any space is its own."""
        try:
            self._resolved(self.sweep.trial, f"{self.where}, space")
        except LipkdError as alone:
            if str(alone) == str(error):
                return LipkdError(str(error).replace(", space", ", trial", 1))
        return error

    def corners(self) -> list[Planned]:
        """Every combination of list values and ends of ranges, for every seed; all trials of a grid.

        Parsing them finds what is wrong with a sweep. Raises LipkdError when a grid has too many points.
        """
        if self.sweep.sampler == "grid" and (count := size(self.sweep.space) * len(self.seeds)) > MOST_TRIALS:
            raise LipkdError(f"{self.where}: space: a grid of {count:.0f} trials; at most {MOST_TRIALS}, or sample")
        points = list(itertools.islice(corners(self.sweep.space), MOST_TRIALS))
        return distinct(self.trial(point, seed) for seed in self.seeds for point in points)

    def trials(self) -> list[Planned]:
        """All trials of a grid or of random draws, one seed after the other; none for optuna, which asks later.

        Configurations that are the same (TrialConfig.identity) are taken once.
        """
        if self.sweep.sampler == "grid":
            return self.corners()
        return self._random() if self.sweep.sampler == "random" else []

    def _random(self) -> list[Planned]:
        """`samples` different configurations, fewer when the space has no more; the same for the same sampler_seed."""
        rng = np.random.default_rng(self.sweep.sampler_seed)
        points: list[Point] = []
        known: set[str] = set()
        idle = 0
        while len(points) < self.sweep.samples and idle < PATIENCE:
            point = draw(self.sweep.space, rng)
            identity = self.trial(point, self.seeds[0]).config.identity()
            idle = idle + 1 if identity in known else 0
            if not idle:
                known.add(identity)
                points.append(point)
        return distinct(self.trial(point, seed) for seed in self.seeds for point in points)


def distinct(trials: Iterable[Planned]) -> list[Planned]:
    """The trials in order, each configuration once; raises LipkdError when two that differ have one name."""
    first: dict[str, Planned] = {}
    for trial in trials:
        first.setdefault(trial.config.identity(), trial)
    refuse_one_name(first.values())
    return list(first.values())


def refuse_one_name(trials: Iterable[Planned]) -> None:
    """Raises LipkdError when two different configurations have one name, which ends in a short signature: one of them
    would be taken for the other, and never be trained."""
    named: dict[str, Planned] = {}
    for trial in trials:
        other = named.setdefault(trial.name, trial)
        if other is not trial:
            fields = ", ".join(differing_fields(other.config.to_json(), trial.config.to_json()))
            raise LipkdError(
                f"two different configurations have the name {trial.name} (they differ in {fields}): change a value of "
                "one of them a little"
            )


@dataclass(frozen=True)
class Plan:
    """A sweep's trials: all of them, or, of a sweep that proposes them as it goes (optuna), the corners of its space,
    which are examples of what it may propose."""

    planner: Planner
    corners: tuple[Planned, ...]
    trials: tuple[Planned, ...]

    @property
    def sweep(self) -> SweepConfig:
        return self.planner.sweep

    @property
    def examples(self) -> tuple[Planned, ...]:
        """The trials, else the corners."""
        return self.trials or self.corners

    @property
    def count(self) -> int:
        """How many trials there will be."""
        return len(self.trials) or self.sweep.samples * len(self.planner.seeds)

    @property
    def epochs(self) -> list[int]:
        """The epochs of the examples, in order of size."""
        return sorted(trial.config.training.epochs for trial in self.examples)

    def with_threads(self, threads: int) -> "Plan":
        """The same plan with so many processor threads for each trial that does not say how many."""
        corners, trials = (tuple(trial.with_threads(threads) for trial in part) for part in (self.corners, self.trials))
        return Plan(replace(self.planner, threads=threads), corners, trials)


def make_plan(planner: Planner) -> Plan:
    """Parse every trial, or every corner of the space, and open its data; raises LipkdError for what is wrong."""
    plan = Plan(planner, tuple(planner.corners()), tuple(planner.trials()))
    check_data([*plan.corners, *plan.trials], planner.where)
    return plan


def check_data(trials: Iterable[Planned], where: str) -> None:
    """Open every store, make every split, spell every transcript, shape every network.

    Raises LipkdError for what would otherwise stop a trial after it has begun: a store or a speaker that
    isn't there, an empty part, a letter outside the alphabet, a layer without a channel.
    """
    from lipkd.model.lipnet import network_shape  # imports torch

    try:
        for config in _first_of_each(trials, "data"):
            store = ClipStore.open(config.data.store)
            split = make_split(store, config.data)
            alphabet = Alphabet(config.data.alphabet)
            text = {clip.id: clip.text for clip in store.clips}
            for clip in (*split.train, *split.val, *split.test):
                alphabet.encode(text[clip])
        for config in _first_of_each(trials, "data", "network", "cohort"):
            meta = ClipStore.open(config.data.store).meta
            height, width = config.data.crop or (meta["height"], meta["width"])
            for multiplier in config.widths:
                network_shape(config.network.name, multiplier, picture=(height, width, meta["channels"]), symbols=2)
    except LipkdError as error:
        raise LipkdError(f"{where}: {error}") from error


def _first_of_each(trials: Iterable[Planned], *parts: str) -> Iterator[TrialConfig]:
    known = set()
    for trial in trials:
        content = trial.config.to_json()
        key = json.dumps([content[part] for part in parts])
        if key not in known:
            known.add(key)
            yield trial.config


def _put(content: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set a dotted key; a mapping is merged into the part that the key names."""
    *parents, name = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise LipkdError(f"{where}: space: {key}: {parent} has no parts")
    if isinstance(value, dict):
        part = content.setdefault(name, {})
        if not isinstance(part, dict):
            raise LipkdError(f"{where}: space: {key} = {value!r}: {name} has no parts")
        for inner, item in value.items():
            _put(part, str(inner), item, where)
    else:
        content[name] = copy.deepcopy(value)
