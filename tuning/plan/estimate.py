"""What a sweep will take, from a few real steps of its trials on this machine: hours and disk.

for every kind of trial (same data, network, cohort, batch size): two short epochs on a few clips,
the second of which counts; its time and its files, stretched to all clips and all epochs
"""

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from lipkd.config.trial_config import TrialConfig
from lipkd.training.train import Trainer
from lipkd.training.trial_data import build_data
from lipkd.trial import TrialFolder
from tuning.plan.planner import Planned

LONGEST_S = 60.0  # of all calibrations together; kinds that are left then count as the mean of those measured
SMALL = ("seed", "evaluation", "augment")  # parts that hardly change the time of a step
EPOCHS = 2  # the first one warms up


class _Enough(Exception):
    """Ends a calibration."""


@dataclass(frozen=True)
class Cost:
    """Of one kind of trial: seconds per epoch, and bytes: `fixed` and `per_epoch` in the trial's folder, `copied`
    into the artifacts of its run."""

    epoch_s: float
    fixed: int
    per_epoch: int
    copied: int


@dataclass(frozen=True)
class Estimate:
    """Of a whole sweep. `measured` of `kinds` kinds of trials were measured."""

    trial_s: float
    bytes: int
    kinds: int
    measured: int

    def text(self, concurrent: int) -> str:
        hours, clock = self.trial_s / 3600, self.trial_s / concurrent / 3600
        part = "" if self.measured == self.kinds else f", from {self.measured} of {self.kinds} kinds of trials"
        return (
            f"about {_hours(hours)} of training, {_hours(clock)} on the clock if {concurrent} at a time are as fast as "
            f"one; about {_size(self.bytes)} of disk{part}"
        )


def estimate(trials: Sequence[Planned], count: int) -> Estimate:
    """What `count` trials of which these are examples will take, to their last epochs."""
    kinds = kinds_of(trials)
    costs: dict[str, Cost] = {}
    began = time.monotonic()
    for name, configs in kinds.items():
        if not costs or time.monotonic() - began < LONGEST_S:
            costs[name] = calibrate(configs[0])
    mean_s = fmean(cost.epoch_s for cost in costs.values())
    mean_bytes = [
        round(fmean(part)) for part in zip(*((c.fixed + c.copied, c.per_epoch) for c in costs.values()), strict=True)
    ]
    seconds, size = 0.0, 0
    for name, configs in kinds.items():
        cost = costs.get(name, Cost(mean_s, mean_bytes[0], mean_bytes[1], 0))
        for config in configs:
            seconds += cost.epoch_s * config.training.epochs
            size += cost.fixed + cost.copied + cost.per_epoch * config.training.epochs
    scale = count / len(trials)
    return Estimate(seconds * scale, round(size * scale), len(kinds), len(costs))


def kinds_of(trials: Iterable[Planned]) -> dict[str, list[TrialConfig]]:
    """The configurations by kind."""
    kinds: dict[str, list[TrialConfig]] = {}
    for trial in trials:
        kinds.setdefault(kind(trial.config), []).append(trial.config)
    return kinds


def kind(config: TrialConfig) -> str:
    """What trials have in common whose epochs take the same time."""
    training = config.training.model_dump(include={"batch_size", "precision", "device", "threads"})
    return repr((config.model_dump(exclude={*SMALL, "training"}), training))


def calibrate(config: TrialConfig) -> Cost:
    """Train on two batches and read one, twice, in a folder that is thrown away."""
    longer = config.model_copy(update={"training": config.training.model_copy(update={"epochs": EPOCHS + 1})})
    with tempfile.TemporaryDirectory(prefix="lipkd-estimate-") as path:
        folder = TrialFolder(Path(path))
        data = build_data(longer)
        size = config.training.batch_size
        short = replace(data, train=data.train[: 2 * size], val=data.val[:size])
        trainer = Trainer(longer, short, folder)
        found: list[dict[str, float]] = []

        def report(step: int, metrics: dict[str, float]) -> None:
            found.append(metrics)
            if step == EPOCHS:
                raise _Enough

        try:
            trainer.run(report)
        except _Enough:
            metrics = found[-1]
        train_s = len(short.train) / metrics["time/clips_per_s"]
        stretched = len(data.val) / len(short.val)
        epoch_s = len(data.train) / metrics["time/clips_per_s"] + (metrics["time/epoch_s"] - train_s) * stretched
        checkpoints = _bytes(folder.path / "checkpoints")
        predictions = round(_bytes(folder.path / "predictions") * stretched)
        best = folder.checkpoint("best").stat().st_size
        line = folder.journal.stat().st_size // EPOCHS
        return Cost(epoch_s, checkpoints + predictions, 2 * line, best + predictions)  # the database holds lines too


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(60 * hours))} min"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MiB"
