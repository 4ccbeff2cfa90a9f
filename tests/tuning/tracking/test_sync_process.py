import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lipkd.lock import only_one
from lipkd.trial import Journal
from tests.tuning.store_picture import picture
from tests.tuning.trials import write_trial
from tuning.sweep_folder import driver_lock
from tuning.tracking.client import default_uri
from tuning.tracking.sync_process import LOG, SyncProcess, watch


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
    assert watch(sweep, "http://127.0.0.1:1", mlruns) == 1
    assert "tracking store http://127.0.0.1:1 does not answer" in capsys.readouterr().err
