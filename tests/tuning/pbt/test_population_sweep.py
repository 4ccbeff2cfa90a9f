"""A population through Ray and into MLflow, its worker and its driver killed, stopped and resumed."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from lipkd.cli import main
from lipkd.data.store import ClipStore
from lipkd.lock import is_held
from lipkd.training.train import fit
from lipkd.trial import TrialFolder
from tests.chaos.arena import workers
from tests.measured import numbers
from tests.tuning.store_picture import picture
from tuning.pbt.generations import decisions, run_generations
from tuning.pbt.lineage import read_lineage, schedule_changes
from tuning.plan.planner import Planned, Planner, make_plan
from tuning.plan.sweep_config import load_sweep
from tuning.status.status import read_status
from tuning.sweep_folder import begin

EPOCHS = 9
RATE = "training.learning_rate"


@pytest.fixture
def file(tmp_path: Path, tiny_store: ClipStore) -> Path:
    """Two trials, one after the other, that meet after three and after six of nine epochs."""
    content = {
        "name": "people",
        "trial": {
            "data": {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]},
            "training": {"epochs": EPOCHS, "batch_size": 4, "precision": "float32", "checkpoint_every": 2},
            "network": {"name": "lipnet-128", "width": 0.05},
        },
        "space": {RATE: [1e-5, 1e-3]},
        "scheduler": {"name": "pbt", "every_epochs": 3, "mutate": {RATE: {"loguniform": [1e-4, 1e-2]}}},
        "metric": "val/ctc",
        "resources": {"max_concurrent": 1, "cpus": 1},
    }
    path = tmp_path / "people.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def undisturbed(file: Path, folder: Path) -> list[Path]:
    """The same sweep without Ray and without anything going wrong: its trials' folders."""
    sweep = load_sweep(file)
    record = begin(folder, experiment="lipkd", working_folder=folder)
    plan = make_plan(Planner(sweep, folder, threads=1))
    record.add(plan.trials)

    def train(trials: list[Planned], until: Mapping[str, int]) -> None:
        for trial in trials:
            path = record.trial_folder(trial).path
            changes = schedule_changes(record.trial_folder(trial))
            fit(trial.config, path, until=until.get(trial.name), changes=changes, watched=sweep.stopping.mutate)

    run_generations(plan, record, list(record.trials), math.inf, train)
    return [record.trial_folder(trial).path for trial in record.trials]


@pytest.mark.storm
@pytest.mark.timeout(900)
def test_whatever_is_killed_a_population_comes_to_the_same(file: Path, mlruns: Path) -> None:
    expected = undisturbed(file, mlruns.parent / "undisturbed")
    folder = mlruns / "sweeps" / "people"
    one, two = (TrialFolder(folder / path.name) for path in expected)

    def start(*options: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "lipkd", "sweep", str(file), "--mlruns", str(mlruns), *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def wait(driver: "subprocess.Popen[str]", until: Callable[[], object]) -> None:
        while not until():  # the test's own timeout ends it if that never comes
            assert driver.poll() is None, driver.communicate()[0]
            time.sleep(0.02)

    with start() as driver:  # its worker dies before the first exchange, itself after it
        wait(driver, lambda: one.reports() and workers(folder))
        os.kill(workers(folder)[0], signal.SIGKILL)
        wait(driver, lambda: len(one.reports()) > 3)
        driver.kill()
    while is_held(one.lock) or is_held(two.lock):  # the worker notices
        time.sleep(0.05)
    assert [len(d.exploits) for d in decisions(folder)] == [1]

    with start("--resume") as driver:
        wait(driver, lambda: len(two.reports()) > 3)
        assert main(["sweep", str(file), "--mlruns", str(mlruns), "--stop"]) == 0
        said = driver.communicate()[0]
    assert driver.returncode == 130, said
    assert "trials go on to epoch 6, to exchange" in said and "2 trials are not done" in said
    assert [t.reason for t in read_status(folder).trials].count(read_lineage(one)[-1].reason()) == 1

    with start("--resume") as driver:
        said = driver.communicate()[0]
    assert driver.returncode == 0, said
    assert "1 populations of 2 trials; every 3 epochs the worst 1 go on from the best 1" in said
    assert "lipkd sweep " in said and "--best-schedule" in said
    for path in expected:
        assert numbers(folder / path.name) == numbers(path)
        assert read_lineage(TrialFolder(folder / path.name)) == read_lineage(TrialFolder(path))
    assert decisions(folder) == decisions(mlruns.parent / "undisturbed")

    runs = picture(mlruns)
    assert {name: [run.status for run in found] for name, found in runs.items()} == {
        name: ["FINISHED"] for name in ("people", one.name, two.name)
    }
    assert "population.jsonl" in runs["people"][0].files
    for trial in (one, two):
        [run] = runs[trial.name]
        for key in ("val/wer", f"schedule/{RATE}", "best/wer"):
            assert run.steps(key) == list(range(1, EPOCHS + 1))
        assert ("lineage.jsonl" in run.files) == bool(read_lineage(trial))
        assert run.tags.get("lipkd.incomparable_reason", "") == trial.incomparable_reason()
    assert runs[one.name][0].tags["lipkd.comparable"] == "false"


def test_the_plan_and_what_is_wrong_with_a_population(
    file: Path, mlruns: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", str(file), "--mlruns", str(mlruns), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "sweep people: 2 trials × 9 epochs = 18 epochs" in said and "scheduler pbt" in said
    text = file.read_text(encoding="utf-8")
    for change, message in (
        (("every_epochs: 3", "every_epochs: 9"), "scheduler.every_epochs = 9: has to be below training.epochs = 9"),
        (("  - 0.001\n", ""), "is alone; a population is two trials or more"),
    ):
        file.write_text(text.replace(*change), encoding="utf-8")
        assert main(["sweep", str(file), "--mlruns", str(mlruns)]) == 2
        assert message in capsys.readouterr().err
    assert not (mlruns / "sweeps").exists()
