from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

from lipkd.config.trial_config import validate
from tests.tuning.trials import write_trial
from tuning.execution.search import Study, TrialQueue
from tuning.plan.planner import Planned, Planner
from tuning.plan.sweep_config import SweepConfig
from tuning.sweep_folder import SweepRecord

TRIAL = {"data": {"store": "/stores/tiny"}, "training": {"epochs": 3}}


def planner(space: dict[str, Any], **fields: Any) -> Planner:
    content = {"name": "s", "trial": TRIAL, "space": space, "sampler": "optuna", **fields}
    return Planner(validate(SweepConfig, content, "s.yaml"), Path("/"))


def ended(study: Study, trial: Planned, wers: Sequence[float]) -> None:
    write_trial(study.record.folder, wers, config=trial.config, state="finished")
    study.observe(trial)


def told(study: Study) -> list[float | None]:
    return [t.value for t in study.study.get_trials(deepcopy=False) if t.state.is_finished()]


def test_an_error_and_a_cost_are_told_together(tmp_path: Path) -> None:
    """The mean over seeds of the best word error rates, 0.4 and 0.6, and of the time of an epoch, 6 s in these."""
    space = {"training.learning_rate": {"loguniform": [1e-4, 1e-2]}}
    study = Study(planner(space, samples=2, seeds=[0, 1], cost="time/epoch_s"), SweepRecord(tmp_path / "s"))
    first, second = study.propose()
    ended(study, first, [0.9, 0.4])
    ended(study, second, [0.8, 0.6])
    [trial] = study.study.get_trials()
    assert trial.values == [pytest.approx(0.5), 6.0]
    assert len(study.propose()) == 2


def test_a_configuration_is_told_once_as_the_mean_over_its_seeds(tmp_path: Path) -> None:
    space = {"training.learning_rate": {"loguniform": [1e-4, 1e-2]}}
    study = Study(planner(space, samples=2, seeds=[0, 1]), SweepRecord(tmp_path / "s"))
    first, second = study.propose()
    assert (first.config.seed, second.config.seed) == (0, 1)
    assert first.config.training.learning_rate == second.config.training.learning_rate
    ended(study, first, [0.9, 0.4])
    assert told(study) == []
    ended(study, second, [0.8, 0.6])
    assert told(study) == [pytest.approx(0.5)]
    assert len(study.propose()) == 2
    assert study.propose() == []  # two samples were wanted
    assert [t.name for t in study.record.trials[:2]] == [first.name, second.name]


def test_a_configuration_that_failed_leaves_nothing_running(tmp_path: Path) -> None:
    study = Study(planner({"network.width": {"uniform": [0.1, 1]}}, samples=3), SweepRecord(tmp_path / "s"))
    [trial] = study.propose()
    write_trial(study.record.folder, [], config=trial.config, state="failed", reason="disk full")
    study.observe(trial)
    assert [t.state.name for t in study.study.get_trials()] == ["FAIL"]


def test_no_configuration_twice_and_a_small_space_ends(tmp_path: Path) -> None:
    study = Study(planner({"network.width": [0.25, 0.5, 1.0]}, samples=50), SweepRecord(tmp_path / "s"))
    widths = []
    while trials := study.propose():
        widths.append(trials[0].config.network.width)
        ended(study, trials[0], [0.5])
    assert sorted(widths) == [0.25, 0.5, 1.0]


def test_choices_may_be_mappings(tmp_path: Path) -> None:
    cohorts = [{"method": "independent", "peers": 1}, {"method": "attention", "peers": 2}]
    study = Study(planner({"cohort": cohorts}, samples=5), SweepRecord(tmp_path / "s"))
    found = [study.propose()[0].config.cohort.peers for _ in range(2)]
    assert sorted(found) == [1, 2]


def test_a_resumed_study_knows_the_earlier_trials(tmp_path: Path) -> None:
    space = {"augment.shift": {"uniform": [0.1, 0.4]}, "network.width": [0.25, 0.5]}
    before = Study(planner(space, samples=3), SweepRecord(tmp_path / "s"))
    over, open_ = before.propose()[0], before.propose()[0]
    ended(before, over, [0.7, 0.3])
    write_trial(before.record.folder, [0.9], config=open_.config)

    study = Study(planner(space, samples=3), before.record)
    assert told(study) == [0.3]
    assert study.study.get_trials()[0].params["augment.shift"] == over.values["augment.shift"]
    [fresh] = study.propose()
    assert fresh.name not in {over.name, open_.name}
    assert study.propose() == []  # the earlier ones count
    ended(study, open_, [0.9, 0.5])
    assert sorted(v for v in told(study) if v is not None) == [0.3, 0.5]


def test_earlier_trials_outside_a_changed_space_are_left_aside(tmp_path: Path) -> None:
    before = Study(planner({"network.width": {"uniform": [0.1, 0.5]}}, samples=1), SweepRecord(tmp_path / "s"))
    ended(before, before.propose()[0], [0.5])
    study = Study(planner({"network.width": {"uniform": [0.6, 1]}}, samples=2), before.record)
    assert told(study) == []
    assert study.propose()[0].config.network.width >= 0.6


def test_the_queue_hands_out_what_waits_then_what_the_study_asks_for(tmp_path: Path) -> None:
    p = planner({"network.width": [0.25, 0.5]}, samples=2)
    study = Study(p, SweepRecord(tmp_path / "s"))
    waiting = p.corners()[:1]
    queue = TrialQueue(waiting, study, lambda trial: {"name": trial.name})
    assert queue.suggest("t1") == {"name": waiting[0].name}
    name = queue.suggest("t2")["name"]
    assert name == study.record.trials[0].name
    ended(study, study.record.trials[0], [0.5])
    queue.on_trial_complete("t2", {})
    queue.suggest("t3")
    assert queue.suggest("t4") == Searcher.FINISHED


def test_a_queue_without_a_study_ends_with_its_trials() -> None:
    queue = TrialQueue([], None, lambda trial: {})
    assert queue.suggest("t1") == Searcher.FINISHED
