import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from lipkd.lock import only_one
from lipkd.trial import Journal
from tests.tuning.store_picture import picture
from tests.tuning.trials import trial_config, write_trial
from tuning.sweep_folder import driver_lock
from tuning.tracking.client import default_uri
from tuning.tracking.sync_process import LOG, SyncProcess, Watcher


def wait_for(what: Callable[[], bool]) -> None:
    """The test's own timeout ends what never comes true."""
    while not what():
        time.sleep(0.05)


@pytest.mark.timeout(600)
def test_it_follows_a_sweep_survives_its_own_death_and_ends_with_the_driver(mlruns: Path) -> None:
    sweep = mlruns / "sweeps" / "watched"
    trial = write_trial(sweep, [1.0], name="one")
    with only_one(driver_lock(sweep), "sweep"):
        process = SyncProcess(sweep, default_uri(mlruns), mlruns)
        wait_for((trial.path / "sync.json").is_file)
        process.process.kill()
        process.process.wait()
        Journal(trial.journal).append(2, {"val/wer": 0.5})
        process.ensure_running()
        first = process.process
        process.ensure_running()
        assert process.process is first  # alive: left alone
    assert process.finish()
    [run] = picture(mlruns)["one"]
    assert run.steps("val/wer") == [1, 2]
    assert run.status == "KILLED"  # nobody trains it any more
    assert (sweep / LOG).read_text(encoding="utf-8") == ""


@pytest.mark.timeout(600)
def test_it_ends_when_the_driver_is_gone(mlruns: Path) -> None:
    sweep = mlruns / "sweeps" / "left"
    trial = write_trial(sweep, [1.0], name="one")
    process = SyncProcess(sweep, default_uri(mlruns), mlruns).process
    wait_for((trial.path / "sync.json").is_file)
    assert process.stdin is not None
    process.stdin.close()  # what the kernel does when the driver is killed
    assert process.wait() == 0


@pytest.mark.timeout(60)
def test_a_tracking_server_that_is_away_is_said_at_the_end(
    mlruns: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = mlruns / "sweeps" / "away"
    write_trial(sweep, [1.0], name="one")
    monkeypatch.setattr("tuning.tracking.sync_process.LAST_TRIES_S", 0.0)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115 (ends at once, and with the process)
    assert Watcher(sweep, "http://127.0.0.1:1", mlruns).run() == 1
    assert "tracking store http://127.0.0.1:1 does not answer" in capsys.readouterr().err


def test_a_damaged_trial_is_logged_once_and_holds_up_nothing(mlruns: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = mlruns / "sweeps" / "hurt"
    hurt = write_trial(sweep, [1.0], name="hurt")
    trial = write_trial(sweep, [1.0], config=trial_config(seed=1), name="one")
    (hurt.path / "state.json").write_text("", encoding="utf-8")
    watcher = Watcher(sweep, default_uri(mlruns), mlruns)
    for step in (2, 3):
        Journal(trial.journal).append(step, {"val/wer": 0.5})
        sent = watcher.sync()
        assert sent is not None and sent.steps == (2 if step == 2 else 1)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"trial hurt: {hurt.path}/state.json: empty; ")
    hurt.set_state("finished")
    sent = watcher.sync()
    assert sent is not None and not sent.problems


def test_a_database_that_fails_is_a_sentence_in_the_log_and_tried_again(
    mlruns: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = mlruns / "sweeps" / "full"
    write_trial(sweep, [1.0], name="one")
    watcher = Watcher(sweep, default_uri(mlruns), mlruns)

    def fail(*_: Any) -> None:
        raise OperationalError("INSERT INTO runs", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patched:
        patched.setattr("tuning.tracking.sync.Syncer.sync", fail)
        assert watcher.sync() is None and watcher.sync() is None
    [line] = capsys.readouterr().err.splitlines()
    assert "database or disk is full" in line and "INSERT" not in line
    assert watcher.sync() is not None and len(picture(mlruns)["one"]) == 1
