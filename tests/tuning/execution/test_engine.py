import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ray.tune.execution import class_cache
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from lipkd import checkpoint
from lipkd.config.trial_config import validate
from lipkd.errors import LipkdError
from lipkd.trial import Cause, State
from tests.tuning.trials import trial_config, write_trial
from tuning.execution.engine import Engine
from tuning.execution.ray_session import cluster, probe_node, use_prestarted_workers
from tuning.execution.scheduler import TrialStub, make_scheduler
from tuning.execution.trainable import STALLED, record_failure, train_trial
from tuning.gpu.memory_table import MemoryTable
from tuning.gpu.shares import Shares
from tuning.plan.planner import Plan, Planned, Planner
from tuning.plan.sweep_config import SweepConfig
from tuning.sweep_folder import PENALTY, SweepRecord, reported


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:", ":6379"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(LipkdError, match=f"--address {address}: give HOST:PORT"), cluster(address):
        pytest.fail("connected")


@pytest.mark.timeout(60)  # Ray's own patience is minutes
def test_a_cluster_that_is_not_there() -> None:
    with pytest.raises(LipkdError, match=r"127\.0\.0\.1:1: no Ray cluster answers there"), cluster("127.0.0.1:1"):
        pytest.fail("connected")


def test_a_node_is_asked_for_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a worker with a whole GPU that ends after the answer; what goes wrong there is one sentence here."""
    wanted: list[dict[str, Any]] = []

    def remote(**options: Any) -> Any:
        wanted.append(options)
        return lambda function: SimpleNamespace(remote=function)

    monkeypatch.setattr("tuning.execution.ray_session.ray.remote", remote)
    monkeypatch.setattr("tuning.execution.ray_session.ray.get", lambda answer, timeout: answer)
    monkeypatch.setattr("tuning.gpu.probe.answer", lambda request: {"device": request["known"]})
    assert probe_node({"known": "A"}) == {"device": "A"}
    assert wanted == [{"num_cpus": 1, "num_gpus": 1, "max_calls": 1}]

    def busy(answer: Any, timeout: float) -> Any:
        raise TimeoutError("no GPU\nwas free")

    monkeypatch.setattr("tuning.execution.ray_session.ray.get", busy)
    with pytest.raises(LipkdError, match=r"^no GPU was free$"):
        probe_node({"known": "A"})


def test_workers_want_no_environment_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own way of asking, so that another Ray that does it otherwise is noticed."""
    monkeypatch.setattr(class_cache, "DEFAULT_ENV_VARS", {"FOR_SOMEBODY": "1"})
    assert _ActorClassCache().get(object)._default_options["runtime_env"] == {"env_vars": {"FOR_SOMEBODY": "1"}}
    use_prestarted_workers()
    assert not _ActorClassCache().get(object)._default_options["runtime_env"].get("env_vars")


def test_a_ray_without_that_module_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is internal to Ray, so a newer Ray may move it, or keep something else under the name."""
    monkeypatch.setitem(sys.modules, "ray.tune.execution.class_cache", None)  # its import then fails
    use_prestarted_workers()
    monkeypatch.setitem(sys.modules, "ray.tune.execution.class_cache", SimpleNamespace())
    use_prestarted_workers()
    monkeypatch.setitem(sys.modules, "ray.tune.execution.class_cache", SimpleNamespace(DEFAULT_ENV_VARS=("A", "B")))
    use_prestarted_workers()


def sweep(**fields: Any) -> SweepConfig:
    return validate(SweepConfig, {"name": "s", "trial": {}, **fields}, "s.yaml")


def test_no_scheduler_for_a_grid(tmp_path: Path) -> None:
    assert type(make_scheduler(sweep(), SweepRecord(tmp_path), 9)) is FIFOScheduler


def test_asha_knows_the_trials_that_ended_before(tmp_path: Path) -> None:
    """At the first rung, epoch 2, the better half goes on: with two earlier trials at 0.3 and 0.5 there, that
    is everything below their middle, 0.4."""
    record = SweepRecord(tmp_path)
    for seed, wers in enumerate(([0.9, 0.3, 0.2], [0.9, 0.5])):
        config = trial_config(seed=seed)
        write_trial(tmp_path, wers, config=config, state="finished" if len(wers) == 3 else "stopped")
        record.trials.append(Planned(config.trial_name(), config))
    asha = make_scheduler(sweep(scheduler={"name": "asha", "grace_epochs": 2, "reduction_factor": 2}), record, 3)
    assert isinstance(asha, ASHAScheduler)
    controller: Any = None
    decisions = []
    for wer in (0.45, 0.35):
        trial: Any = SimpleNamespace(trial_id=f"new at {wer}")
        asha.on_trial_add(controller, trial)
        asha.on_trial_result(controller, trial, reported(1, {"val/wer": 1.0}, "val/wer", "min"))
        decisions.append(asha.on_trial_result(controller, trial, reported(2, {"val/wer": wer}, "val/wer", "min")))
    assert decisions == [TrialScheduler.STOP, TrialScheduler.CONTINUE]


def test_median_stopping_knows_the_trials_that_ended_before(tmp_path: Path) -> None:
    """Running means of the two others: (0.6 + 0.4) / 2 = 0.5 at epoch 2, and 0.8; their median is 0.65."""
    record = SweepRecord(tmp_path)
    for seed, wers in enumerate(([0.6, 0.4], [0.9, 0.7])):
        config = trial_config(seed=seed)
        write_trial(tmp_path, wers, config=config, state="finished")
        record.trials.append(Planned(config.trial_name(), config))
    scheduler = {"name": "median", "grace_epochs": 1, "min_trials": 2}
    decisions = []
    for wer in (0.66, 0.64):
        median = make_scheduler(sweep(scheduler=scheduler), record, 3)
        controller: Any = None
        trial: Any = TrialStub(f"new at {wer}")
        median.on_trial_add(controller, trial)
        median.on_trial_result(controller, trial, reported(1, {"val/wer": 0.7}, "val/wer", "min"))
        again = median.on_trial_result(controller, trial, reported(1, {"val/wer": 0.7}, "val/wer", "min"))
        assert again == TrialScheduler.CONTINUE
        decisions.append(median.on_trial_result(controller, trial, reported(2, {"val/wer": wer}, "val/wer", "min")))
    assert decisions == [TrialScheduler.STOP, TrialScheduler.CONTINUE]


class FakeTune:
    """In place of Ray Tune: `outcome` writes how each trial ended that it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, outcome: Callable[[Planned, Shares], None]) -> None:
        self.turns: list[tuple[list[int], int, dict[str, int]]] = []

        def train(engine: Engine, waiting: list[Planned], until: Mapping[str, int], study: Any) -> None:
            self.turns.append(([t.config.seed for t in waiting], engine.shares.concurrent, dict(until)))
            for trial in waiting:
                outcome(trial, engine.shares)

        monkeypatch.setattr(Engine, "_tune", train)


def engine(record: SweepRecord, shares: Shares) -> Engine:
    plan = Plan(Planner(sweep(), record.folder), tuple(record.trials), tuple(record.trials))
    return Engine(plan, record, MemoryTable(record.folder / "memory.json"), shares, lambda: None)


def trials(record: SweepRecord, count: int) -> list[Planned]:
    return record.add([Planned(c.trial_name(), c) for c in (trial_config(seed=s) for s in range(count))])


def test_trials_that_run_out_of_memory_go_on_with_fewer_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One fits when two run at a time, one when it is alone, one never does; what fails otherwise stays failed."""
    record = SweepRecord(tmp_path)
    updates: list[int] = []

    def outcome(trial: Planned, shares: Shares) -> None:
        seed = trial.config.seed
        if seed == 3:
            write_trial(tmp_path, [0.5], config=trial.config, state="failed", cause=Cause.ERROR)
        elif shares.concurrent <= {0: 2, 1: 1, 2: 0}[seed]:
            write_trial(tmp_path, [0.5], config=trial.config, state="finished")
        else:
            write_trial(tmp_path, [0.5], config=trial.config, state="failed", cause=Cause.OUT_OF_MEMORY)

    tune = FakeTune(monkeypatch, outcome)
    monkeypatch.setattr(MemoryTable, "update_file", lambda *_: updates.append(1))
    engine(record, Shares(1, 0.25, 4)).run(trials(record, 4), more=False)
    assert tune.turns == [([0, 1, 2, 3], 4, {}), ([0, 1, 2], 2, {}), ([1, 2], 1, {})]
    assert len(updates) == 3
    assert [t.config.seed for t in record.failed()] == [2, 3]


def test_nobody_is_tried_again_when_the_sweep_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = SweepRecord(tmp_path)

    def outcome(trial: Planned, shares: Shares) -> None:
        state: State = "running" if trial.config.seed else "failed"
        write_trial(tmp_path, [0.5], config=trial.config, state=state, cause=Cause.OUT_OF_MEMORY)

    tune = FakeTune(monkeypatch, outcome)
    engine(record, Shares(1, 0, 2)).run(trials(record, 2), more=False)
    assert len(tune.turns) == 1


def test_who_runs_out_of_memory_in_a_population_is_tried_again_before_the_next_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait at epoch 2 and are not over; one that is at epoch 1 has been interrupted, with all."""
    record = SweepRecord(tmp_path)
    one, two = trials(record, 2)
    there = 2

    def outcome(trial: Planned, shares: Shares) -> None:
        write_trial(tmp_path, [], config=one.config, state="failed", cause=Cause.OUT_OF_MEMORY)
        folder = write_trial(tmp_path, [0.5], config=two.config)
        checkpoint.save(folder.checkpoint("last"), {"w": torch.zeros(1)}, {"epoch": there})

    tune = FakeTune(monkeypatch, outcome)
    until = {one.name: 2, two.name: 2}
    run = engine(record, Shares(1, 0.5, 2))
    run.train([one, two], until)
    assert run.shares.concurrent == 1
    assert tune.turns == [([0, 1], 2, until), ([0], 1, until)]
    there = 1
    engine(record, Shares(1, 0.5, 2)).train([one, two], until)
    assert len(tune.turns) == 3


@pytest.mark.parametrize(
    ("error", "state", "cause", "reason"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory."),
            "failed",
            "out_of_memory",
            "OutOfMemoryError: CUDA out of memory.",
        ),
        (MemoryError("4 GiB"), "failed", "out_of_memory", "MemoryError: 4 GiB"),
        (
            FloatingPointError("not finite"),
            "failed",
            "error",
            "FloatingPointError: not finite",
        ),
        (LipkdError("clip store /x: gone"), "failed", "error", "clip store /x: gone"),
        (OSError(28, "No space left on device"), "running", "disk_full", "the disk is full"),
    ],
)
def test_what_a_worker_makes_of_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str, cause: str, reason: str
) -> None:
    """It never raises: Tune would start the trial again, to meet the same."""
    told: list[dict[str, Any]] = []
    folder = write_trial(tmp_path, [0.5], name="one")

    def fit(config: Any, path: Path, on_report: Any, **_: Any) -> None:
        on_report(2, {"val/wer": 0.4})
        raise error

    monkeypatch.setattr("tuning.execution.trainable.fit", fit)
    monkeypatch.setattr("tuning.execution.trainable.tune.report", told.append)
    train_trial({"folder": str(folder.path), "config": trial_config().to_json(), "metric": "val/wer", "mode": "min"})
    assert [folder.state()[key] for key in ("state", "cause", "reason")] == [state, cause, reason]
    assert [row["step"] for row in told][:2] == [1, 2]
    assert [STALLED in row for row in told] == [False, False, *([True] * (state == "running"))]


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_bad_metric_is_reported_as_a_finite_penalty(value: float | None) -> None:
    metrics = {} if value is None else {"val/wer": value}
    assert reported(4, metrics, "val/wer", "min") == {"val/wer": PENALTY, "step": 4}
    assert reported(4, metrics, "val/wer", "max")["val/wer"] == -PENALTY


def test_a_failure_before_training_leaves_a_trial_that_can_be_shown(tmp_path: Path) -> None:
    from lipkd.trial import TrialFolder

    folder = TrialFolder(tmp_path / "t")
    folder.path.mkdir()
    config = trial_config()
    try:
        raise LipkdError("clip store /x: gone\nfor good")
    except LipkdError as error:
        record_failure(folder, config.to_json(), error)
    assert folder.config() == config
    assert folder.state()["state"] == "failed"
    assert folder.state()["reason"] == "clip store /x: gone for good"
    assert "Traceback" in (folder.path / "failure.txt").read_text()
