"""Which trial comes next: those that wait, then, with Optuna, those that it proposes.

Tune's own OptunaSearch isn't used: it knows no mapping-valued choices and no seeds, trains a
configuration twice, and leaves a trial with a bad final metric running for ever.
"""

from collections import deque
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray.tune.search import Searcher

from lipkd.errors import LipkdError
from tuning.plan.pareto import best_value, usual_value
from tuning.plan.planner import PATIENCE, Planned, Planner
from tuning.plan.space import Choice, Dimension, Point, point_of
from tuning.sweep_folder import SweepRecord

Suggestion = dict[str, Any]


class Study:
    """Optuna's TPE over a sweep's space. One configuration with all its seeds is one observation, its
    value the mean over the seeds of the best that each reached. With a `cost` there are two values, and the
    sampler looks for all the trade-offs between them."""

    def __init__(self, planner: Planner, record: SweepRecord) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.planner = planner
        self.record = record
        self.sweep = planner.sweep
        self.distributions = {key: _distribution(d) for key, d in self.sweep.space.items()}
        earlier = _by_values(record.trials)
        # Another seed after a resume: the same one would draw the same configurations again.
        sampler = optuna.samplers.TPESampler(seed=self.sweep.sampler_seed + len(earlier))
        low, high = optuna.study.StudyDirection.MINIMIZE, optuna.study.StudyDirection.MAXIMIZE
        directions = [low if self.sweep.mode == "min" else high]
        if self.sweep.cost:
            directions.append(low)
        self.study = optuna.create_study(sampler=sampler, directions=directions)
        self.pending: list[tuple[optuna.Trial, list[Planned]]] = []
        self.over: set[str] = set()
        self.proposed = 0
        for trials in earlier:
            self._remember(trials)
        for trial in record.ended():
            self.observe(trial)

    def _remember(self, trials: list[Planned]) -> None:
        """Give a configuration of an earlier run back to the study."""
        self.proposed += 1
        point = point_of(self.sweep.space, trials[0].values)
        if point is not None:  # else it lies outside the space as the file gives it now
            self.study.enqueue_trial(point)
            self.pending.append((self.study.ask(self.distributions), trials))

    def propose(self) -> list[Planned]:
        """The trials of the next configuration, one per seed; empty when enough or no new one was found."""
        for _ in range(PATIENCE):
            if self.proposed >= self.sweep.samples:
                break
            proposal = self.study.ask(self.distributions)
            try:
                trials = self.record.add(self._trials(dict(proposal.params)))
            except LipkdError:  # a combination that the corners of the space did not show
                trials = []
            if trials:
                self.proposed += 1
                self.pending.append((proposal, trials))
                return trials
            self.study.tell(proposal, state=optuna.trial.TrialState.FAIL)  # a configuration that is known already
        return []

    def _trials(self, point: Point) -> list[Planned]:
        return [self.planner.trial(point, seed) for seed in self.planner.seeds]

    def observe(self, trial: Planned) -> None:
        """A trial has ended; once all seeds of its configuration have, the study gets the mean."""
        self.over.add(trial.name)
        for entry in self.pending:
            proposal, trials = entry
            if any(t.name == trial.name for t in trials):
                if self.over >= {t.name for t in trials}:
                    values = [v for t in trials if (v := self.values(t)) is not None]
                    if values:
                        self.study.tell(proposal, [fmean(column) for column in zip(*values, strict=True)])
                    else:
                        self.study.tell(proposal, state=optuna.trial.TrialState.FAIL)
                    self.pending.remove(entry)
                return

    def values(self, trial: Planned) -> tuple[float, ...] | None:
        """The best finite value of the sweep's metric in the trial's journal, and what the trial costs; None when
        one is missing."""
        reports = self.record.reports(trial)
        wanted = [best_value(reports, self.sweep.metric, self.sweep.mode)]
        if self.sweep.cost:
            wanted.append(usual_value(reports, self.sweep.cost))
        return None if None in wanted else tuple(v for v in wanted if v is not None)


class TrialQueue(Searcher):
    """Hands Tune the waiting trials in order, then those of `study`; `suggestion` makes what a worker gets.

    Once `halted` is true, there are no more.
    """

    def __init__(
        self,
        waiting: Iterable[Planned],
        study: Study | None,
        suggestion: Callable[[Planned], Suggestion],
        halted: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self.waiting = deque(waiting)
        self.study = study
        self.suggestion = suggestion
        self.halted = halted
        self.given: dict[str, Planned] = {}

    def suggest(self, trial_id: str) -> Any:
        if self.halted():
            return Searcher.FINISHED
        if not self.waiting and self.study:
            self.waiting += self.study.propose()
        if not self.waiting:
            return Searcher.FINISHED
        trial = self.given[trial_id] = self.waiting.popleft()
        return self.suggestion(trial)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        if self.study and trial_id in self.given:
            self.study.observe(self.given[trial_id])

    def save(self, checkpoint_path: str) -> None:
        """Nothing: sweep.json and the trial folders are the state, and Tune's restore isn't used."""


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(range(len(dimension.values)))
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high))
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _by_values(trials: Iterable[Planned]) -> list[list[Planned]]:
    """The trials grouped by their place in the space, in order."""
    groups: list[list[Planned]] = []
    for trial in trials:
        for group in groups:
            if group[0].values == trial.values:
                group.append(trial)
                break
        else:
            groups.append([trial])
    return groups
