from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lipkd.lock import only_one
from tests.tuning.trials import write_trial
from tuning.execution.callback import Progress
from tuning.execution.trainable import STALLED
from tuning.sweep_folder import SweepRecord, driver_lock, trial_status


def tune_trial(name: str) -> Any:
    return SimpleNamespace(config={"name": name}, num_failures=3)


def progress(folder: Path) -> Progress:
    return Progress(SweepRecord(folder), "val/wer", lambda: None)


@pytest.mark.parametrize(("epochs", "state"), [(2, "stopped"), (3, "finished")])
def test_a_trial_that_tune_ends_was_stopped_unless_it_was_through(tmp_path: Path, epochs: int, state: str) -> None:
    folder = write_trial(tmp_path, [0.5] * epochs, name="one")
    callback = progress(tmp_path)
    for step in range(1, epochs + 1):
        callback.on_trial_result(0, [], tune_trial("one"), {"step": step, "val/wer": 0.5})
    callback.on_trial_complete(0, [], tune_trial("one"))
    assert folder.state()["state"] == state
    assert folder.state()["reason"] == ("by the scheduler at epoch 2, val/wer 0.500" if state == "stopped" else "")


def test_a_trial_of_a_population_waits_where_it_is_to_exchange(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_trial(tmp_path, [0.5, 0.4], name="one")
    callback = Progress(SweepRecord(tmp_path), "val/wer", lambda: None, {"one": 2})
    callback.on_trial_result(0, [], tune_trial("one"), {"step": 2, "val/wer": 0.4})
    callback.on_trial_complete(0, [], tune_trial("one"))
    assert folder.state()["state"] == "running"
    assert "waits    one: epoch 2, val/wer 0.400" in capsys.readouterr().out


def test_a_trial_on_a_full_disk_is_paused_and_no_other_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_trial(tmp_path, [0.5], name="one")
    callback = progress(tmp_path)
    callback.on_trial_result(0, [], tune_trial("one"), {"step": 1, "val/wer": 0.5})
    assert not callback.halted
    callback.on_trial_result(0, [], tune_trial("one"), {"step": 1, "val/wer": 0.5, STALLED: "the disk is full"})
    callback.on_trial_complete(0, [], tune_trial("one"))
    assert callback.halted
    assert folder.state()["state"] == "running"
    assert "paused   one: the disk is full" in capsys.readouterr().out


def test_a_trial_that_ended_by_itself_keeps_its_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_trial(tmp_path, [0.5], state="failed", reason="disk full", name="one")
    progress(tmp_path).on_trial_complete(0, [], tune_trial("one"))
    assert folder.state()["state"] == "failed"
    assert "failed   one: disk full" in capsys.readouterr().out


def test_a_trial_whose_process_kept_dying_has_failed(tmp_path: Path) -> None:
    folder = write_trial(tmp_path, [0.5], name="one")
    progress(tmp_path).on_trial_error(0, [], tune_trial("one"))
    assert folder.state()["state"] == "failed"
    assert folder.state()["reason"].startswith("its process died 3 times")


def test_nothing_is_raised_into_tune(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise OSError("disk full")

    callback = Progress(SweepRecord(tmp_path), "val/wer", broken)
    callback.on_step_end(0, [])
    callback.on_trial_result(0, [], tune_trial("one"), {})
    callback.on_trial_complete(0, [], tune_trial("no such trial"))
    assert "disk full" in capsys.readouterr().err


def test_how_a_trial_stands(tmp_path: Path) -> None:
    trial = write_trial(tmp_path, [0.5], name="one")
    assert trial_status(trial, driver_alive=False) == "abandoned"
    assert trial_status(trial, driver_alive=True) == "waiting"
    with only_one(trial.lock, "trial"):
        assert trial_status(trial, driver_alive=False) == "running"
    trial.set_state("finished")
    with only_one(driver_lock(tmp_path), "sweep"):
        assert trial_status(trial, driver_alive=True) == "finished"
