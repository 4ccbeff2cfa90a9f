"""A damaged file costs its trial a line; a tracking store that fails is known from that; no other sweep waits."""

from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH, MAX_TAG_VAL_LENGTH
from sqlalchemy.exc import OperationalError

from lipkd.cli import main
from lipkd.files import write_json
from tests.tuning.store_picture import picture
from tests.tuning.trials import journal_line, trial_config, write_trial
from tuning.tracking.client import connect, default_uri
from tuning.tracking.failures import sentence
from tuning.tracking.sync import FAILURES_IN_A_ROW, Syncer
from tuning.tracking.sync_folders import sync_folders

TRIALS = FAILURES_IN_A_ROW + 2


@pytest.fixture
def sweep(mlruns: Path) -> Path:
    folder = mlruns / "sweeps" / "pairs"
    for number in range(TRIALS):
        config = trial_config(seed=number)
        write_trial(folder, [1.0, 0.5, 0.25], config=config, state="finished", name=f"t{number}")
    return folder


def damage(trial: Path, name: str) -> None:
    path = trial / name
    if name == "journal.jsonl":
        path.write_text(journal_line(1, 1.0) + "{torn\n" + journal_line(3, 0.25), encoding="utf-8")
    elif name.startswith("predictions"):
        path.write_bytes(path.read_bytes()[:20])
    else:
        path.write_text("", encoding="utf-8")


DAMAGED = ["state.json", "config.json", "split.json", "provenance.json", "journal.jsonl", "predictions/best.jsonl"]


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_trials_cost_a_line_each_and_the_others_are_synced(
    sweep: Path, mlruns: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = f"t{TRIALS - 1}"
    for trial in sorted(sweep.iterdir()):
        if trial.name != whole:
            damage(trial, name)
    assert main(["sync", "--mlruns", str(mlruns)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == TRIALS - 1
    for number, line in enumerate(lines):
        assert line.startswith(f"  trial t{number}: {sweep}/t{number}/{name}") and ("remove" in line or "again" in line)
    run = picture(mlruns)[whole][0]
    assert (run.status, run.steps("val/wer")) == ("FINISHED", [1, 2, 3])
    if name.startswith("predictions"):
        [hurt] = picture(mlruns)["t0"]
        assert hurt.steps("val/wer") == [1, 2, 3]
        assert name not in hurt.files and "checkpoints/best.safetensors" in hurt.files


def test_a_repaired_trial_is_synced(sweep: Path, mlruns: Path) -> None:
    content = (sweep / "t0" / "state.json").read_bytes()
    damage(sweep / "t0", "state.json")
    uri = default_uri(mlruns)
    syncer = Syncer(sweep, connect(uri), uri, mlruns)
    for _ in range(2):
        sent = syncer.sync()
        assert len(sent.problems) == 1 and not sent.server_failed
    (sweep / "t0" / "state.json").write_bytes(content)
    assert (syncer.sync().problems, len(picture(mlruns)["t0"])) == ([], 1)


class Failing:
    """A client of a tracking store whose calls fail from the first change on."""

    def __init__(self, client: Any, error: Exception) -> None:
        self.client = client
        self.error = error
        self.failed = 0

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == "log_batch" else getattr(self.client, name)

    def _fail(self, *_: Any, **__: Any) -> None:
        self.failed += 1
        raise self.error


SERVER = [
    MlflowException(
        "(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT INTO metrics]\n(Background on x)"
    ),
    OperationalError("INSERT INTO metrics", {}, Exception("database or disk is full")),
    ConnectionError("database or disk is full"),
]


@pytest.mark.parametrize("error", SERVER)
def test_a_tracking_store_that_fails_is_not_asked_for_every_trial(sweep: Path, mlruns: Path, error: Exception) -> None:
    uri = default_uri(mlruns)
    client: Any = Failing(connect(uri), error)
    with pytest.raises(type(error)):
        Syncer(sweep, client, uri, mlruns).sync()
    assert client.failed == FAILURES_IN_A_ROW


@pytest.mark.parametrize("error", SERVER)
def test_a_database_error_is_one_sentence(error: Exception) -> None:
    line = sentence(error)
    assert "database or disk is full" in line
    assert "\n" not in line and "SQL:" not in line and "Background" not in line


@pytest.mark.parametrize("error", SERVER)
def test_other_sweeps_go_on_after_one_that_fails(
    sweep: Path,
    mlruns: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_trial(mlruns / "sweeps" / "zebra", [0.5], state="finished", name="last")
    (mlruns / "sweeps" / "zebra" / "sweep.yaml").write_text("name: zebra\n", encoding="utf-8")
    broken = mlruns / "sweeps" / "broken"
    write_trial(broken, [0.5], state="finished", name="x")
    (broken / "sweep.json").write_text("", encoding="utf-8")

    def fail_on_pairs(syncer: Syncer, *arguments: Any) -> Any:
        if syncer.record.name == "pairs":
            raise error
        return sync(syncer, *arguments)

    sync = Syncer.sync
    monkeypatch.setattr(Syncer, "sync", fail_on_pairs)
    assert sync_folders([], mlruns=mlruns) == 1
    err = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in err] == [" sweep broken", " sweep pairs"]
    assert f"{broken}/sweep.json" in err[0] and "database or disk is full" in err[1]
    assert set(picture(mlruns)) == {"zebra", "last"}


def test_a_value_that_is_too_long_is_cut_and_says_so(mlruns: Path) -> None:
    sweep = mlruns / "sweeps" / "long"
    speakers = [f"speaker-{number}" for number in range(1000)]
    config = trial_config(data={"scenario": "unseen", "val_speakers": speakers})
    write_trial(sweep, [0.5], config=config, state="failed", reason="r" * 9000, name="one")
    assert sync_folders([sweep], mlruns=mlruns) == 0
    [run] = picture(mlruns)["one"]
    listed = run.params["data.val_speakers"]
    assert "speaker-7" in listed and listed.endswith("… (whole in config.json)")
    assert len(listed) == MAX_PARAM_VAL_LENGTH
    reason = run.tags["lipkd.reason"]
    assert reason.endswith("r… (whole in failure.txt)") and len(reason) == MAX_TAG_VAL_LENGTH


def test_where_and_with_what_a_trial_was_trained_comes_from_its_record(mlruns: Path) -> None:
    sweep = mlruns / "sweeps" / "made"
    start = {"commit": "abc", "command": "lipkd train t.yaml", "host": "gpu1", "versions": {"lipkd": "1", "torch": "2"}}
    trial = write_trial(sweep, [0.5], name="one")
    write_trial(sweep, [0.5], config=trial_config(seed=1), name="old")
    write_json(trial.provenance_file, [start])
    assert sync_folders([sweep], mlruns=mlruns) == 0
    [one], [old] = picture(mlruns)["one"], picture(mlruns)["old"]
    keys = ("commit", "lipkd.host", "lipkd.command", "lipkd.versions")
    assert [one.tags[key] for key in keys] == ["abc", "gpu1", "lipkd train t.yaml", "lipkd 1, torch 2"]
    assert "provenance.json" in one.files
    assert not set(keys) & old.tags.keys() and "provenance.json" not in old.files
    write_json(trial.provenance_file, [start, start | {"commit": "def", "host": "gpu2"}])
    assert sync_folders([sweep], mlruns=mlruns) == 0
    [one] = picture(mlruns)["one"]
    assert [one.tags[key] for key in keys] == ["def", "gpu2", "lipkd train t.yaml", "lipkd 1, torch 2"]
