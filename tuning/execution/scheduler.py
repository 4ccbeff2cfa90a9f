"""Schedulers that stop trials early; they get the results of trials that ended in earlier runs of the sweep."""

import math
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from tuning.plan.planner import Planned
from tuning.plan.sweep_config import SweepConfig
from tuning.sweep_folder import SweepRecord, reported


def make_scheduler(sweep: SweepConfig, record: SweepRecord, epochs: int) -> TrialScheduler:
    """First in, first out, or one that stops trials and knows those that have ended before."""
    stopping = sweep.stopping
    scheduler: TrialScheduler
    if stopping.name in ("none", "pbt"):  # populations are no scheduler's: tuning/pbt/generations.py
        return FIFOScheduler()
    if stopping.name == "median":
        scheduler = Median(
            time_attr="step",
            metric=sweep.metric,
            mode=sweep.mode,
            grace_period=stopping.grace_epochs,
            min_samples_required=stopping.min_trials,
            min_time_slice=math.inf,  # else it pauses trials while there are few, and starts their processes anew
        )
    else:
        scheduler = ASHAScheduler(
            time_attr="step",
            metric=sweep.metric,
            mode=sweep.mode,
            max_t=epochs,
            grace_period=min(stopping.grace_epochs, epochs),
            reduction_factor=stopping.reduction_factor,
            stop_last_trials=False,  # the training loop has its own end, and its last files to write
        )
    for trial in record.ended():
        replay(scheduler, record, trial, sweep)
    return scheduler


class Median(MedianStoppingRule):
    """The median rule of Golovin et al. 2017, for trials that report their first epochs again when they are
    started again: an epoch counts once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.counted: set[tuple[str, int]] = set()

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        epoch = (trial.trial_id, result["step"])
        if epoch in self.counted:
            return str(TrialScheduler.CONTINUE)
        self.counted.add(epoch)
        return str(super().on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Nothing: this would count the last epoch once more."""


@dataclass(frozen=True)
class TrialStub:
    """What a scheduler knows a trial by."""

    trial_id: str


def replay(scheduler: TrialScheduler, record: SweepRecord, trial: Planned, sweep: SweepConfig) -> None:
    """Give a scheduler the results of a trial that ended in an earlier run, through its public calls."""
    stub: Any = TrialStub(trial.name)
    controller: Any = None  # neither rule uses it
    results = [reported(r.step, r.metrics, sweep.metric, sweep.mode) for r in record.reports(trial)]
    if not results:
        return
    scheduler.on_trial_add(controller, stub)
    for result in results:
        scheduler.on_trial_result(controller, stub, result)
    scheduler.on_trial_complete(controller, stub, results[-1])
