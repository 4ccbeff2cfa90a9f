"""A sweep's populations, generation by generation: train to the next epoch of exchange, decide, exchange, go on.

    population.jsonl   a line per population and epoch of exchange: scores, and who copies whom with which values
    TRIAL/lineage.jsonl, TRIAL/state.json (not comparable), then TRIAL/checkpoints/last.safetensors of each exploit

Each is written whole, in this order, and read again before the next step. So whatever is killed, a decision is made
once and each exploit is done once. The epoch is a barrier: exploit and explore happen when every member has reached it,
so the parent's last checkpoint is the one that is copied, and no other has to be kept.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipkd import checkpoint
from lipkd.config.schedule import with_changes
from lipkd.errors import LipkdError
from lipkd.files import read_jsonl, write_jsonl
from lipkd.lock import only_one
from lipkd.training.train import ORPHAN_S
from lipkd.trial import ENDED, TrialFolder
from tuning import stop_request
from tuning.pbt.lineage import Exploit, lineage_file, read_lineage
from tuning.pbt.population import check, choose_exploits, populations, values_now
from tuning.plan.planner import Plan, Planned
from tuning.plan.sweep_config import SweepConfig
from tuning.sweep_folder import SweepRecord, reported

# Trains trials to the epochs that the mapping gives by name (to their ends where it gives none). It may end earlier.
Train = Callable[[list[Planned], Mapping[str, int]], None]


@dataclass(frozen=True)
class Decision:
    """What a population decided after an epoch; `scores` names the trials that were there."""

    epoch: int
    scores: dict[str, float]
    exploits: dict[str, Exploit]

    def to_json(self) -> dict[str, Any]:
        rows = [{"trial": name, **exploit.to_json()} for name, exploit in self.exploits.items()]
        return {"epoch": self.epoch, "scores": self.scores, "exploits": rows}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Decision":
        return cls(row["epoch"], row["scores"], {e["trial"]: Exploit.from_json(e) for e in row["exploits"]})


def decisions_file(folder: Path) -> Path:
    """Where a sweep's decisions stand."""
    return folder / "population.jsonl"


def decisions(folder: Path) -> list[Decision]:
    """What the populations of a sweep have decided, in order."""
    path = decisions_file(folder)
    return [Decision.from_json(row) for row in read_jsonl(path)] if path.is_file() else []


def check_populations(plan: Plan, record: SweepRecord) -> None:
    """Raises LipkdError for trials that cannot be trained as populations, and when a population that has exchanged
    weights has new trials now: they would meet no other at their epochs."""
    check(plan.trials, plan.sweep.stopping, plan.planner.where)
    decided = {name for decision in decisions(record.folder) for name in decision.scores}
    for population in populations(plan.trials, plan.sweep.stopping.mutate):
        names = {trial.name for trial in population}
        fresh = names - {trial.name for trial in record.trials}
        if fresh and names & decided:
            raise LipkdError(
                f"sweep {record.name!r}: {sorted(fresh)[0]} would join a population that has started; give the sweep "
                "another name, or add a seed, which is a population of its own"
            )


def reached(folder: TrialFolder) -> int:
    """The epochs that a trial's last checkpoint has done; 0 when there is none that can be read."""
    try:
        return int(checkpoint.load_info(folder.checkpoint("last"))["epoch"])
    except LipkdError:
        return 0


def run_generations(plan: Plan, record: SweepRecord, waiting: list[Planned], deadline: float, train: Train) -> None:
    """Train `waiting`, of the recorded trials that are planned, to their ends; returns earlier when the sweep is
    requested to stop, when the time (of `time.monotonic`) is past its deadline, or when `train` did not bring all to
    their epochs.
    """
    wanted = {trial.config.identity() for trial in plan.trials}
    generations = _Generations(plan.sweep, record, [t for t in record.trials if t.config.identity() in wanted], waiting)
    while True:
        until = generations.advance()
        todo = [trial for trial in waiting if generations.lacks(trial, until)]
        if not todo or time.monotonic() >= deadline or stop_request.requested(record.folder):
            return
        stops = sorted({until[trial.name] for trial in todo if trial.name in until})
        where = f"epoch {' or '.join(map(str, stops))}, to exchange" if stops else "the end"
        print(f"{len(todo)} trials go on to {where}", flush=True)
        train(todo, until)
        generations.tried(todo)
        if any(generations.lacks(trial, until) for trial in todo):
            return


class _Generations:
    """The populations of `members`. Trials that have failed take part once more where they are `waiting`."""

    def __init__(
        self, sweep: SweepConfig, record: SweepRecord, members: Sequence[Planned], waiting: Sequence[Planned]
    ) -> None:
        self.sweep = sweep
        self.record = record
        self.populations = populations(members, sweep.stopping.mutate)
        self.again = {trial.name for trial in waiting if self._state(trial) == "failed"}

    def advance(self) -> dict[str, int]:
        """Exchange and decide where everybody has arrived; the epoch to which each trial goes on, where that is not
        its end."""
        until: dict[str, int] = {}
        for population in self.populations:
            self._exchange(population)
            while (epoch := self._next(population)) is not None and self._all_at(population, epoch):
                self._decide(population, epoch)
                self._exchange(population)
            if epoch is not None:
                until |= {trial.name: epoch for trial in population}
        return until

    def lacks(self, trial: Planned, until: Mapping[str, int]) -> bool:
        """Whether a trial is neither over nor where it has to wait."""
        return self._open(trial) and reached(self.record.trial_folder(trial)) < until.get(trial.name, math.inf)

    def tried(self, trials: Sequence[Planned]) -> None:
        """Trials that fail from now on have failed."""
        self.again -= {trial.name for trial in trials}

    def _state(self, trial: Planned) -> str:
        return str(self.record.trial_folder(trial).state()["state"])

    def _open(self, trial: Planned) -> bool:
        return trial.name in self.again or self._state(trial) not in ENDED

    def _next(self, population: list[Planned]) -> int | None:
        """The epoch of the next exchange; None when there is none before the end."""
        every = self.sweep.stopping.every_epochs
        done = max((decision.epoch for decision in self._of(population)), default=0)
        furthest = max((reached(self.record.trial_folder(t)) for t in population if self._open(t)), default=0)
        epoch = max(done // every + 1, math.ceil(furthest / every)) * every
        return epoch if epoch < population[0].config.training.epochs else None

    def _of(self, population: list[Planned]) -> list[Decision]:
        names = {trial.name for trial in population}
        return [decision for decision in decisions(self.record.folder) if names & decision.scores.keys()]

    def _all_at(self, population: list[Planned], epoch: int) -> bool:
        """Whether all that are not over wait at the epoch, one at least."""
        open_ = [trial for trial in population if self._open(trial)]
        return bool(open_) and all(reached(self.record.trial_folder(trial)) == epoch for trial in open_)

    def _decide(self, population: list[Planned], epoch: int) -> None:
        sweep, scheduler = self.sweep, self.sweep.stopping
        scores, values = {}, {}
        for trial in filter(self._open, population):
            folder = self.record.trial_folder(trial)
            metrics = {report.step: report.metrics for report in folder.reports()}[epoch]
            scores[trial.name] = reported(epoch, metrics, sweep.metric, sweep.mode)[sweep.metric]
            values[trial.name] = values_now(trial.config, folder, scheduler.mutate, epoch)
        chosen = choose_exploits(scores, values, scheduler, mode=sweep.mode, seed=sweep.sampler_seed, epoch=epoch)
        rows = [*decisions(self.record.folder), Decision(epoch, scores, chosen)]
        write_jsonl(decisions_file(self.record.folder), [row.to_json() for row in rows])

    def _exchange(self, population: list[Planned]) -> None:
        """Do what was decided last, as far as it is not done; no trial has gone on before that."""
        for decision in self._of(population)[-1:]:
            for name, exploit in decision.exploits.items():
                if copy_parent(TrialFolder(self.record.folder / name), exploit):
                    changed = ", ".join(f"{key} {value:g}" for key, value in exploit.values.items())
                    print(f"exploit  {name}: after epoch {exploit.epoch} from {exploit.parent}; {changed}", flush=True)


def copy_parent(folder: TrialFolder, exploit: Exploit) -> bool:
    """Let a trial go on from its parent's weights; False when that has been done before.

    Parameters, averages and the optimiser's state become those of the parent; the trial keeps its journal and its best,
    and its state says that it is not comparable. Raises LipkdError when the parent is no longer at that epoch, which
    only another process can have caused.
    """
    if not reached(folder):
        return False  # its checkpoint is gone or damaged; the training loop says so
    own = checkpoint.load_info(folder.checkpoint("last"))
    done = {change["after"]: change["values"].items() for change in own["config"]["schedule"]}
    if exploit.values.items() <= done.get(exploit.epoch, {}.items()):
        return False
    with only_one(folder.lock, f"trial {folder.path}", wait=ORPHAN_S):
        lineage = read_lineage(folder)
        if all(earlier.epoch != exploit.epoch for earlier in lineage):
            lineage.append(exploit)
            write_jsonl(lineage_file(folder), [row.to_json() for row in lineage])
        folder.set_incomparable(exploit.reason())
        scheduled = with_changes(folder.config(), (row.change() for row in lineage)).to_json()
        parent = TrialFolder(folder.path.parent / exploit.parent)
        tensors, copied = checkpoint.load(parent.checkpoint("last"))
        if not copied["epoch"] == own["epoch"] == exploit.epoch:
            raise LipkdError(
                f"trial {folder.name}: was to go on from the weights that {exploit.parent} had after epoch "
                f"{exploit.epoch}, and they are at epochs {own['epoch']} and {copied['epoch']}"
            )
        checkpoint.save(folder.checkpoint("last"), tensors, {**own, "config": scheduled})
        return True
