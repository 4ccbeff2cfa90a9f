"""Part c of `make chaos`: what it looks for in the database, what it tells, and the trial that trains nothing."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lipkd.files import write_json
from lipkd.trial import TrialFolder
from tests.chaos.opened import opened
from tests.chaos.thousand import DRIVER, costs_text, missing
from tests.chaos.trivial import COSTS, metrics_at
from tests.tuning.trials import trial_config, write_trial
from tuning.plan.planner import Planned
from tuning.sweep_folder import SweepRecord
from tuning.tracking.client import connect, default_uri
from tuning.tracking.sync import Syncer

ROOT = Path(__file__).parents[3]


@pytest.fixture
def two_trials(mlruns: Path) -> Path:
    """A tracking folder with two finished trials of three epochs in it."""
    sweep = mlruns / "sweeps" / "thousand"
    configs = [trial_config(seed=seed) for seed in (0, 1)]
    SweepRecord(sweep).add([Planned(config.trial_name(), config) for config in configs])
    for config in configs:
        write_trial(sweep, [0.9, 0.8, 0.7], config=config, state="finished")
    uri = default_uri(mlruns)
    assert not Syncer(sweep, connect(uri), uri, mlruns).sync().problems
    return mlruns


def test_nothing_is_missing(two_trials: Path) -> None:
    assert missing(two_trials, 2, 3) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("DELETE FROM metrics WHERE step = 2 AND key = 'val/cer' AND run_uuid = :run", "not what its journal says"),
        ("UPDATE metrics SET value = 0.5 WHERE step = 2 AND run_uuid = :run", "not what its journal says"),
        ("DELETE FROM metrics WHERE run_uuid = :run", "no metrics"),
        ("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = :run", "RUNNING"),
        ("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = :run", "1 runs for 2 trials"),
    ],
)
def test_what_is_missing_is_named(two_trials: Path, change: str, expected: str) -> None:
    name = trial_config(seed=1).trial_name()
    with contextlib.closing(sqlite3.connect(two_trials / "mlflow.db")) as database, database:
        (run,) = database.execute("SELECT run_uuid FROM runs WHERE name = ?", (name,)).fetchone()
        database.execute(change, {"run": run})
    assert missing(two_trials, 2, 3) == [expected if "runs" in expected else f"{name}: {expected}"]


@pytest.mark.storm
def test_everything_opens_on_it(two_trials: Path) -> None:
    lines = list(opened(two_trials))
    assert [wrong for _, wrong in lines] == [[]] * 6
    assert lines[0][0].startswith("c the dashboard's page sweeps: ")
    assert lines[-1][0].startswith("c MLflow's UI: its page and the first 3 runs in ")


def test_too_few_trials_and_short_journals_are_missing(two_trials: Path) -> None:
    assert missing(two_trials, 4, 3) == ["2 trials planned"]
    assert [text.rpartition(": ")[2] for text in missing(two_trials, 2, 4)] == ["journal of 3 steps"] * 2


def test_what_a_trial_costs(tmp_path: Path) -> None:
    """Medians over three trials; the driver's and the others' 6 and 9 seconds are shared among them."""
    for number in (1, 2, 9):
        names = ("report_s", "journal_s", "start_s", "start_processor_s", "processor_s")
        costs = {name: number * place / 1000 for place, name in enumerate(names, 1)}
        write_json(tmp_path / "mlruns" / "sweeps" / "thousand" / f"t{number}" / COSTS, costs)
    write_json(tmp_path / DRIVER, {"wall_s": 12.0, "driver_s": 6.0, "others_s": 9.0})
    text = costs_text(tmp_path)
    assert text.startswith("c 3 trials: a report 2.0 ms, its journal line 4.0 ms; a trial 4.00 s on the clock")
    assert text.endswith("2.00 s in the driver, 3.00 s in syncer and Ray")


def test_a_trial_that_trains_nothing(tmp_path: Path) -> None:
    """It passes through the product's own trainable, reports what it writes down, and loads no PyTorch."""
    config = trial_config(seed=3, network={"width": 0.5})
    folder = TrialFolder(tmp_path / "sweep" / "one")
    folder.path.mkdir(parents=True)
    trial = {"folder": str(folder.path), "config": config.to_json(), "metric": "val/wer", "mode": "min"}
    script = (
        "import json, sys\nfrom ray import tune\nfrom tests.chaos.trivial import train_trial\ntold = []\n"
        "tune.report = told.append\ntrain_trial(json.loads(sys.argv[1]))\n"
        "print(json.dumps([[row['step'] for row in told], 'torch' in sys.modules]))\n"
    )
    command = [sys.executable, "-c", script, json.dumps(trial)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[1, 2, 3], False]
    assert folder.state()["state"] == "finished"
    assert [(r.step, r.metrics) for r in folder.reports()] == [(s, metrics_at(s, 3, 0.5)) for s in (1, 2, 3)]
    assert len(metrics_at(1, 3, 0.5)) == 22
    assert json.loads((folder.path / COSTS).read_text(encoding="utf-8"))["processor_s"] > 0
