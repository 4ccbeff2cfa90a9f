"""The trials of a sweep through Ray Tune: all that wait, then those that ran out of memory with larger shares."""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ray import tune

from lipkd.trial import Cause
from tuning.execution.callback import Progress
from tuning.execution.scheduler import make_scheduler
from tuning.execution.search import Study, TrialQueue
from tuning.execution.trainable import train_trial
from tuning.gpu.memory_table import MemoryTable
from tuning.gpu.shares import Shares
from tuning.pbt.generations import reached, run_generations
from tuning.plan.planner import Plan, Planned
from tuning.sweep_folder import SweepRecord

RETRIES = 2  # of a trial whose process died; what another start can't mend fails at once (execution/trainable.py)


@dataclass
class Engine:
    """Trains trials of one sweep. `shares` is what each trial gets, more once some ran out of memory; `deadline` (of
    `time.monotonic`) ends the sweep; `ensure_running` keeps the syncer alive and returns at once."""

    plan: Plan
    record: SweepRecord
    memory: MemoryTable
    shares: Shares
    ensure_running: Callable[[], None]
    deadline: float = math.inf

    def run(self, waiting: list[Planned], *, more: bool) -> None:
        """Train the waiting trials, with Optuna and `more` also those that it proposes, or, of a sweep of populations,
        from one exchange of weights to the next.

        Returns when all have ended, the time is spent, the disk is full, or the sweep is interrupted or stopped.
        """
        if self.plan.sweep.stopping.name == "pbt":
            run_generations(self.plan, self.record, waiting, self.deadline, self.train)
        else:
            self.train(waiting, study=Study(self.plan.planner, self.record) if more else None)

    def train(
        self, waiting: list[Planned], until: Mapping[str, int] = MappingProxyType({}), *, study: Study | None = None
    ) -> None:
        """Train the waiting trials, those in `until` up to that epoch, and those that `study` proposes.

        Trials that ran out of memory go on from their checkpoints when the others are through, with half as many at a
        time and larger shares, until they fit or are alone. The memory table learns from each of these turns.
        """
        self._tune(waiting, until, study)
        self.memory.update_file(self.record.with_folders())
        while (oom_trials := self._oom_trials()) and (larger := self.shares.halved()) and not self._unfinished(until):
            self.shares = larger
            print(f"{len(oom_trials)} trials ran out of memory: trained again, {larger.text()}", flush=True)
            self._tune(oom_trials, until, None)
            self.memory.update_file(self.record.with_folders())

    def _oom_trials(self) -> list[Planned]:
        """The trials that failed for want of memory, of the machine or of a GPU that they shared with others."""
        causes = {trial.name: self.record.trial_folder(trial).state().get("cause") for trial in self.record.failed()}
        failed = [trial for trial in self.record.failed() if causes[trial.name] == Cause.OUT_OF_MEMORY]
        return [trial for trial in failed if self.shares.gpu(trial.config) < 1]

    def _unfinished(self, until: Mapping[str, int]) -> bool:
        """Whether a trial has neither ended nor reached the epoch where it waits: the sweep was interrupted."""
        return any(reached(self.record.trial_folder(t)) < until.get(t.name, math.inf) for t in self.record.open())

    def _tune(self, waiting: list[Planned], until: Mapping[str, int], study: Study | None) -> None:
        """Let Ray Tune train these trials."""
        record, sweep, shares = self.record, self.plan.sweep, self.shares

        def worker_config(trial: Planned) -> dict[str, Any]:
            return {
                "name": trial.name,
                "folder": str(record.folder / trial.name),
                "config": trial.config.to_json(),
                "metric": sweep.metric,
                "mode": sweep.mode,
                "until": until.get(trial.name),
                "watched": list(sweep.stopping.mutate),
                "gpus": shares.gpu(trial.config),
                "context_mb": shares.context_mb,
            }

        def resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
            return tune.PlacementGroupFactory([{"CPU": shares.cpus, "GPU": config["gpus"]}])

        progress = Progress(record, sweep.metric, self.ensure_running, until)
        scratch = record.folder / ".tune"  # what Tune keeps for its own restore
        shutil.rmtree(scratch, ignore_errors=True)
        tune.run(
            tune.with_resources(train_trial, resources),
            name="sweep",
            storage_path=str(scratch),
            search_alg=TrialQueue(waiting, study, worker_config, lambda: progress.halted),
            scheduler=make_scheduler(sweep, record, self.plan.epochs[-1]),
            num_samples=len(waiting) + (self.plan.count if study else 0),
            max_concurrent_trials=shares.concurrent,
            time_budget_s=None if math.isinf(self.deadline) else max(1.0, self.deadline - time.monotonic()),
            max_failures=RETRIES,
            raise_on_failed_trial=False,
            callbacks=[progress],
            trial_name_creator=lambda trial: str(trial.config["name"]),
            trial_dirname_creator=lambda trial: str(trial.config["name"]),
            verbose=0,
        )
        shutil.rmtree(scratch, ignore_errors=True)
