"""Runs that were deleted in MLflow, and a database that cannot be written: said, and nothing sent astray."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from lipkd.errors import LipkdError
from tests.tuning.store_picture import picture
from tests.tuning.trials import trial_config, write_trial
from tuning.tracking.client import connect, default_uri
from tuning.tracking.sync import Syncer


@pytest.fixture
def sweep(mlruns: Path) -> Path:
    folder = mlruns / "sweeps" / "pairs"
    write_trial(folder, [1.0, 0.5], state="finished", name="one")
    write_trial(folder, [1.0], config=trial_config(seed=1), state="finished", name="two")
    write_trial(folder, [], config=trial_config(seed=2), state="failed", reason="disk full", name="three")
    return folder


def syncer(sweep: Path, client: Any = None) -> Syncer:
    mlruns = sweep.parent.parent
    uri = default_uri(mlruns)
    return Syncer(sweep, client or connect(uri), uri, mlruns)


def test_a_run_deleted_in_the_ui_stays_deleted(sweep: Path, mlruns: Path) -> None:
    syncer(sweep).sync()
    client = MlflowClient(default_uri(mlruns))
    [run] = client.search_runs(["1"], "tags.`lipkd.trial` = 'one'")
    client.delete_run(run.info.run_id)
    sent = syncer(sweep).sync()
    assert (sent.runs, sent.problems) == (0, [])
    assert sent.notes == [
        f"trial one: its run {run.info.run_id} was deleted in MLflow, so nothing is sent of it; restore it there, or "
        f"remove {sweep / 'one' / 'sync.json'} for a new run"
    ]
    assert set(picture(mlruns)) == {"pairs", "two", "three"}
    (sweep / "one" / "sync.json").unlink()
    assert syncer(sweep).sync().runs == 1
    assert set(picture(mlruns)) == {"pairs", "one", "two", "three"}


def test_trials_follow_the_run_of_their_sweep(sweep: Path, mlruns: Path) -> None:
    """Only the sweep's own run was deleted in the UI: the new one has the trials, so the dashboard lists them."""
    syncer(sweep).sync()
    client = MlflowClient(default_uri(mlruns))
    [parent] = client.search_runs(["1"], "tags.`lipkd.kind` = 'sweep'")
    client.delete_run(parent.info.run_id)
    assert syncer(sweep).sync().problems == []
    [new] = client.search_runs(["1"], "tags.`lipkd.kind` = 'sweep'")
    trials = client.search_runs(["1"], "tags.`lipkd.kind` = 'trial'")
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {new.info.run_id} and len(trials) == 3


def content(database: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("trials", [True, False])
def test_a_database_that_cannot_be_written_is_one_sentence(
    trials: bool, sweep: Path, mlruns: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before the first run of the sweep is made, and when all of its runs are there."""
    if trials:
        syncer(sweep).sync()
        for path in sweep.rglob("sync.json"):
            path.unlink()
    before = content(mlruns / "mlflow.db")
    opened = sqlite3.connect

    def read_only(database: Path, timeout: float) -> sqlite3.Connection:
        """What SQLite does with a file that it may only read; root may write into every file."""
        return opened(f"{database.as_uri()}?mode=ro", timeout=timeout, uri=True)

    client = connect(default_uri(mlruns))
    monkeypatch.setattr("sqlite3.connect", read_only)
    with pytest.raises(LipkdError, match=r"mlflow\.db cannot be written .*readonly.*; allow .* --tracking-uri"):
        syncer(sweep, client).sync()
    monkeypatch.undo()
    assert content(mlruns / "mlflow.db") == before
    assert capfd.readouterr().err == ""
