from collections.abc import Iterator
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from lipkd.lock import only_one
from lipkd.trial import Report
from tests.tuning.trials import trial_config, write_trial
from tuning import stop_request
from tuning.plan.planner import Planned
from tuning.status.result_table import result_rows, result_table
from tuning.status.status import (
    SweepStatus,
    TrialStatus,
    duration,
    read_status,
    seconds_per_epoch,
    show_status,
    status_text,
)
from tuning.sweep_folder import SweepRecord, driver_lock


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Five trials of three epochs, six seconds an epoch: finished, failed, two under way, one not begun."""
    folder = tmp_path / "pairs"
    configs = [trial_config(seed=seed) for seed in range(5)]
    SweepRecord(folder).add([Planned(config.trial_name(), config) for config in configs])
    write_trial(folder, [0.9, 0.5, 0.7], config=configs[0], state="finished")
    write_trial(folder, [], config=configs[1], state="failed", reason="disk\nfull")
    write_trial(folder, [0.9], config=configs[2])
    write_trial(folder, [0.9, 0.8], config=configs[3])
    return folder


def test_a_sweep_under_way(sweep: Path) -> None:
    """One trial runs: its 2 epochs, 1 of the one that waits and 3 of the one not begun are 6 × 6 s."""
    name = trial_config(seed=2).trial_name()
    with only_one(driver_lock(sweep), "sweep"), only_one(sweep / name / ".lock", "trial"):
        status = read_status(sweep)
        assert [(t.state, t.epoch, t.wer) for t in status.trials] == [
            ("finished", 3, 0.7),
            ("failed", 0, None),
            ("running", 1, 0.9),
            ("waiting", 2, 0.8),
            ("not begun", 0, None),
        ]
        assert (status.running, status.stopping, status.left_s) == (True, False, 36.0)
        head, columns, *rows = status_text(status).splitlines()
        assert head == "sweep pairs: running, 2 of 5 trials over, 1 failed, at most 0:00:36 left"
        assert columns.split() == ["trial", "state", "epoch", "wer", "best", "wer", "left", "reason"]
        assert [row.split()[1:] for row in rows] == [
            ["running", "1/3", "0.900", "0.900", "0:00:12"],
            ["failed", "0/3", "–", "–", "disk", "full"],
            ["waiting", "2/3", "0.800", "0.800", "0:00:06"],
            ["not", "begun", "0/3", "–", "–", "–"],
            ["finished", "3/3", "0.700", "0.700"],
        ]
        stop_request.request(sweep)
        assert status_text(read_status(sweep)).startswith("sweep pairs: stopping, 2 of 5")


def test_a_sweep_that_nobody_runs(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_status(sweep, watch=True) == 1  # a trial failed; it does not wait for anything
    said = capsys.readouterr().out
    assert said.startswith("sweep pairs: not running, 2 of 5 trials over, 1 failed\n")
    assert said.count("abandoned") == 2


def test_watching_ends_with_the_sweep(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def moments() -> Iterator[None]:
        with only_one(driver_lock(sweep), "sweep"):
            yield
            yield
        yield

    going = moments()
    next(going)
    show_status(sweep, watch=True, sleep=lambda seconds: next(going))
    said = capsys.readouterr().out
    assert (said.count("sweep pairs: running"), said.count("sweep pairs: not running")) == (2, 1)


def test_a_folder_without_a_sweep(tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match="no sweep has started there"):
        read_status(tmp_path)
    with pytest.raises(LipkdError, match=r"sweep 'quiet' is not running .*: there is nothing to stop"):
        stop_request.request(tmp_path / "quiet")


def test_trials_of_a_folder_without_a_record(tmp_path: Path) -> None:
    write_trial(tmp_path, [0.5], name="one", state="finished")
    assert [(t.trial, t.state) for t in read_status(tmp_path).trials] == [("one", "finished")]


def test_the_time_of_an_epoch_is_the_median_of_the_last_five() -> None:
    def report(step: int, seconds: float) -> Report:
        return Report(step, 0.0, {"time/epoch_s": seconds})

    assert seconds_per_epoch([]) is None
    assert seconds_per_epoch([report(i, s) for i, s in enumerate((90, 1, 2, 3, 50, 2), 1)]) == 2


def test_a_table_is_cut_to_the_terminal() -> None:
    trials = tuple(TrialStatus(f"t{i}", "waiting", 0, 3, None, None, None, "") for i in range(9))
    text = status_text(SweepStatus("s", False, False, trials), width=12, height=5).splitlines()
    assert text == ["sweep s: not", "trial  state", "t0     waiti", "t1     waiti", "… and 7 more"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (61.4, "0:01:01"), (3600, "1:00:00"), (90061, "1 d 1:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.json", ""),
        ("state.json", '["finished"]'),
        ("config.json", "{"),
        ("split.json", "\x00\x00"),
        ("journal.jsonl", '{"step": 1, "tim\n{"step": 2, "time": 1.0, "metrics": {"val/wer": 0.5}}\n'),
    ],
)
def test_a_damaged_file_costs_its_trial_and_no_other(
    sweep: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    damaged = trial_config(seed=0).trial_name()
    (sweep / damaged / name).write_text(content, encoding="utf-8")
    for recorded in (True, False):  # as a sweep, and as a folder of trials that was copied
        if not recorded:
            (sweep / "sweep.json").unlink()
        assert show_status(sweep, watch=False) == 1
        said = capsys.readouterr().out
        assert f"{damaged}  damaged" in said and str(sweep / damaged / name) in said
        assert "1 failed, 1 damaged" in said and said.count("abandoned") == 2
    record = SweepRecord(
        sweep, trials=[Planned(c.trial_name(), c) for c in (trial_config(seed=0), trial_config(seed=1))]
    )
    rows = result_rows(record)
    assert [row.state for row in rows] == ["damaged", "failed"]
    assert f"{damaged} damaged: {sweep / damaged / name}" in result_table(rows)
    assert [t.config.seed for t in record.failed()] == [1]
