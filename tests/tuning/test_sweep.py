"""The whole room in miniature: a real sweep through Ray, its driver killed, resumed, tracked."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from lipkd.cli import main
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.lock import is_held, only_one
from lipkd.trial import TrialFolder
from tests.tuning.store_picture import picture
from tests.tuning.trials import write_trial
from tuning import stop_request
from tuning.plan.estimate import Estimate
from tuning.plan.planner import Planned, Planner
from tuning.plan.sweep_config import load_sweep
from tuning.sweep import SweepOptions, SweepRun, run_sweep
from tuning.sweep_folder import begin, driver_lock, load
from tuning.tracking.client import connect, default_uri, experiment_id
from tuning.tracking.sync_folders import sync_folders

EPOCHS = 15


@pytest.fixture
def file(tmp_path: Path, tiny_store: ClipStore) -> Path:
    """Three trials, one after the other, of fifteen short epochs."""
    content = {
        "name": "mini",
        "trial": {
            "data": {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]},
            "training": {"epochs": EPOCHS, "batch_size": 4, "precision": "float32"},
            "network": {"name": "lipnet-128", "width": 0.05},
        },
        "space": {"cohort": [{"peers": 1}, {"method": "attention", "peers": 2}, {"peers": 2}]},
        "resources": {"max_concurrent": 1, "cpus": 1},
    }
    path = tmp_path / "mini.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def driver(file: Path, mlruns: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "lipkd", "sweep", str(file), "--mlruns", str(mlruns), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.timeout(900)
def test_a_killed_sweep_is_resumed_without_a_gap_or_a_double(file: Path, mlruns: Path) -> None:
    first, second, third = (mlruns / "sweeps" / "mini" / t.name for t in Planner(load_sweep(file), Path("/")).trials())
    with driver(file, mlruns) as killed:
        while len(TrialFolder(first).reports()) < 2:  # the test's own timeout ends it if that never comes
            assert killed.poll() is None, killed.communicate()[0]
            time.sleep(0.02)
        killed.kill()
    assert len(TrialFolder(first).reports()) < EPOCHS and not second.exists()

    while is_held(TrialFolder(first).lock):  # its worker notices
        time.sleep(0.05)
    assert sync_folders([], mlruns=mlruns) == 0
    runs = picture(mlruns)
    assert {name: [run.status for run in found] for name, found in runs.items()} == {
        "mini": ["KILLED"],
        first.name: ["KILLED"],
    }

    broken = TrialFolder(third).checkpoint("last")
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"not a checkpoint")
    with driver(file, mlruns, "--resume") as resumed:
        said = resumed.communicate()[0]
    assert resumed.returncode == 1, said  # a trial failed
    assert "Traceback" not in said
    runs = picture(mlruns)
    assert {name: [run.status for run in found] for name, found in runs.items()} == {
        "mini": ["FINISHED"],
        first.name: ["FINISHED"],
        second.name: ["FINISHED"],
        third.name: ["FAILED"],
    }
    for folder in (first, second):
        [run] = runs[folder.name]
        metrics = {key for key, _, _, _ in run.points}
        assert {"val/wer", "val/cer", "train/loss", "best/wer", "time/epoch_s"} <= metrics
        assert {key: run.steps(key) for key in metrics if key.startswith(("val/", "best/"))} == {
            key: list(range(1, EPOCHS + 1)) for key in metrics if key.startswith(("val/", "best/"))
        }
        assert "predictions/best.jsonl" in run.files and "checkpoints/best.safetensors" in run.files
    [failed] = runs[third.name]
    assert "not a checkpoint" in failed.tags["lipkd.reason"]
    assert f"{third.name} failed: " in said and "lipkd ui" in said and "lipkd dashboard" in said
    assert f"finished {second.name}: epoch {EPOCHS}" in said

    broken.unlink()
    before = {folder: (folder / "journal.jsonl").read_bytes() for folder in (first, second)}
    with driver(file, mlruns, "--only-failed") as again:
        said = again.communicate()[0]
    assert again.returncode == 0, said
    assert said.count("] start ") == 1
    assert before == {folder: (folder / "journal.jsonl").read_bytes() for folder in (first, second)}
    [run] = picture(mlruns)[third.name]
    assert (run.status, run.steps("val/wer")) == ("FINISHED", list(range(1, EPOCHS + 1)))
    with pytest.raises(LipkdError, match="no trial of it has failed"):
        run_sweep(file, SweepOptions(mlruns, only_failed=True))


@pytest.mark.timeout(900)
def test_a_stopped_sweep_ends_at_a_checkpoint_and_may_have_grown_when_it_goes_on(file: Path, mlruns: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["trial"]["training"]["checkpoint_every"] = 4
    content["space"] = {"training.epochs": [6, 40, 7]}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    folder = mlruns / "sweeps" / "mini"
    with driver(file, mlruns) as stopped:
        short, long, third = (TrialFolder(folder / t.name) for t in Planner(load_sweep(file), Path("/")).trials())
        while not long.reports():
            assert stopped.poll() is None, stopped.communicate()[0]
            time.sleep(0.02)
        assert main(["sweep", str(file), "--mlruns", str(mlruns), "--stop"]) == 0
        said = stopped.communicate()[0]
    assert stopped.returncode == 130, said
    reached = len(long.reports())
    assert reached % 4 == 0 and reached < 40
    assert f"paused   {long.name}: epoch {reached}" in said
    assert "2 trials are not done; go on with: lipkd sweep" in said
    assert (short.state()["state"], long.state()["state"], third.reports()) == ("finished", "running", [])

    content["space"]["training.epochs"] = [6, 40, 7, 5]  # one more, when the others are there already
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    before = short.journal.read_bytes(), long.journal.read_bytes()
    with driver(file, mlruns, "--resume") as resumed:
        said = resumed.communicate()[0]
    assert resumed.returncode == 0, said
    assert said.count("] start ") == 3 and "1 trials have ended already" in said
    assert (short.journal.read_bytes(), long.journal.read_bytes()[: len(before[1])]) == before
    runs = picture(mlruns)
    assert {name: [run.status for run in found] for name, found in runs.items()} == {
        name: ["FINISHED"] for name in ("mini", *(path.name for path in folder.iterdir() if path.name[0] == "v"))
    }
    assert sorted(len(run.steps("val/wer")) for [run] in runs.values()) == [0, 5, 6, 7, 40]


def test_what_is_wrong_is_said_before_anything_starts(file: Path, mlruns: Path) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("cleo", "zoe"), encoding="utf-8")
    with pytest.raises(LipkdError, match=r"mini\.yaml: data\.val_speakers: .*zoe"):
        run_sweep(file, SweepOptions(mlruns))
    file.write_text(text, encoding="utf-8")
    with pytest.raises(LipkdError, match=r"tracking store http://127\.0\.0\.1:1 does not answer"):
        run_sweep(file, SweepOptions(mlruns, tracking_uri="http://127.0.0.1:1"))
    assert not (mlruns / "sweeps").exists()


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_sweep(file, SweepOptions(tmp_path / "none", dry_run=True))
    said = capsys.readouterr().out
    assert "sweep mini: 3 trials × 15 epochs = 45 epochs" in said
    assert "grid over cohort (3); scheduler none; 1 at a time, 1 CPU and no GPU each" in said
    names = [trial.name for trial in Planner(load_sweep(file), Path.cwd()).trials()]
    *_, listed, measuring, estimate = said.splitlines()
    assert all(f"  {name}: cohort " in said for name in names) and names[-1] in listed
    assert measuring == "  measuring an epoch of 3 kinds of trials on this machine, for a minute at most …"
    assert "of training" in estimate and "MiB of disk" in estimate and "kinds of trials" not in estimate  # all of them
    assert result.exit_code == 0
    assert not (tmp_path / "none").exists()


def test_a_sweep_that_is_there_is_not_started_again(file: Path, mlruns: Path) -> None:
    folder = mlruns / "sweeps" / "mini"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text("{}", encoding="utf-8")
    with pytest.raises(LipkdError, match=r"sweep 'mini' is there already .*: go on with --resume, or rename it"):
        run_sweep(file, SweepOptions(mlruns))


def test_a_new_sweep_does_not_take_the_runs_of_another(file: Path, mlruns: Path) -> None:
    client = connect(default_uri(mlruns))
    experiment = experiment_id(client, "lipkd")
    client.create_run(experiment, tags={"lipkd.kind": "sweep", "lipkd.sweep": "mini"}, run_name="mini")
    with pytest.raises(LipkdError, match="has runs of a sweep 'mini' whose folder is not"):
        run_sweep(file, SweepOptions(mlruns))


def test_a_sweep_whose_record_was_damaged_and_removed_is_planned_again(
    file: Path, mlruns: Path, no_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trials and its runs in MLflow are known again by its folder; those that have ended are not trained again."""
    folder = mlruns / "sweeps" / "mini"
    client = connect(default_uri(mlruns))
    tags = {"lipkd.kind": "sweep", "lipkd.sweep": "mini", "lipkd.folder": str(folder)}
    client.create_run(experiment_id(client, "lipkd"), tags=tags, run_name="mini")
    first, *others = Planner(load_sweep(file), Path.cwd()).trials()
    write_trial(folder, [0.5], config=first.config, state="finished")
    trained: list[str] = []
    monkeypatch.setattr(
        "tuning.execution.engine.Engine.run", lambda _, waiting, more: trained.extend(t.name for t in waiting)
    )
    (folder / "sweep.json").write_text("{", encoding="utf-8")
    with pytest.raises(LipkdError, match=r"remove it, then `lipkd sweep .*mini --resume` plans"):
        run_sweep(file, SweepOptions(mlruns, resume=True))
    (folder / "sweep.json").unlink()
    run_sweep(file, SweepOptions(mlruns, resume=True))
    assert trained == [trial.name for trial in others]


def test_the_port_of_the_ui_may_be_taken(mlruns: Path) -> None:
    import socket

    from tuning.tracking.ui import open_ui

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LipkdError, match=f"port {port} on 127.0.0.1 cannot be used .*choose another with --port"):
            open_ui(mlruns=mlruns, port=port)


def test_a_server_is_its_own_ui(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from tuning.tracking import ui

    class Client:
        def search_experiments(self) -> list[Any]:
            return [
                SimpleNamespace(name="lipkd", experiment_id="7"),
                SimpleNamespace(name="Default", experiment_id="0"),
            ]

        def search_runs(self, ids: list[str], max_results: int) -> list[str]:
            return ["a run"] * (ids == ["7"])

    monkeypatch.setattr(ui, "connect", lambda uri: Client())
    assert ui.open_ui(mlruns=Path("mlruns"), tracking_uri="http://me:secret@host:5000") == 0
    assert capsys.readouterr().out.splitlines() == [
        "http://host:5000 is an MLflow server; open it in a browser",
        "  lipkd: http://host:5000/#/experiments/7/runs?workflowType=machine_learning"
        "&orderByKey=metrics.%60best%2Fwer%60&orderByAsc=true",
    ]
    assert "MLFLOW_BACKEND_STORE_URI" not in os.environ


class NoSyncer:
    """In place of the process beside."""

    def __init__(self, *_: Any) -> None:
        self.ensure_running = lambda: None

    def finish(self) -> bool:
        return True


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started: neither Ray nor the syncer."""
    monkeypatch.setattr("tuning.execution.ray_session._ray", lambda **_: contextlib.nullcontext())
    monkeypatch.setattr("tuning.sweep.SyncProcess", NoSyncer)


def test_a_second_driver_reads_nothing_before_it_has_the_lock(
    file: Path, mlruns: Path, monkeypatch: pytest.MonkeyPatch, no_ray: None
) -> None:
    """The first driver proposes trials to the moment in which it lets go of the lock: none of them may be lost."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content |= {"space": {"training.learning_rate": {"loguniform": [1e-4, 1e-2]}}, "sampler": "optuna", "samples": 3}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    folder = mlruns / "sweeps" / "mini"
    planner = Planner(load_sweep(file), Path.cwd())
    first = begin(folder, experiment="lipkd", working_folder=Path.cwd())
    first.add([planner.trial({"training.learning_rate": 1e-3}, None)])

    @contextlib.contextmanager
    def lock_after_the_first_driver(path: Path, what: str) -> Iterator[None]:
        first.add([planner.trial({"training.learning_rate": rate}, None) for rate in (2e-3, 3e-3)])
        with only_one(path, what):
            yield

    trained: list[Planned] = []
    monkeypatch.setattr("tuning.sweep.only_one", lock_after_the_first_driver)
    monkeypatch.setattr("tuning.execution.engine.Engine.run", lambda _, waiting, more: trained.extend(waiting))
    run_sweep(file, SweepOptions(mlruns, resume=True, offline=True))
    assert [t.name for t in load(folder).trials] == [t.name for t in first.trials] and len(first.trials) == 3
    assert trained == load(folder).trials


def test_a_sweep_called_twice_at_once_runs_once(
    file: Path, mlruns: Path, no_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second says who runs it, in one sentence, and changes nothing; a dry run needs no lock."""
    monkeypatch.setattr("tuning.plan.estimate.estimate", lambda trials, count: Estimate(60.0, 1, 1, 1))
    folder = mlruns / "sweeps" / "mini"
    with only_one(driver_lock(folder), "the first"):
        before = sorted(path.name for path in folder.iterdir())
        hows: tuple[dict[str, Any], ...] = ({}, {"resume": True}, {"only_failed": True})
        for how in hows:
            with pytest.raises(LipkdError, match=rf"sweep 'mini' is in use by process {os.getpid()} on") as caught:
                run_sweep(file, SweepOptions(mlruns, **how))
            assert "\n" not in str(caught.value) and "delete" not in str(caught.value)
        assert run_sweep(file, SweepOptions(mlruns, dry_run=True)).exit_code == 0
        assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(("max_hours", "spent", "code"), [(None, False, 130), (5, False, 130), (1e-9, True, 0)])
def test_interrupted_means_130_whatever_the_time_limit(
    file: Path,
    mlruns: Path,
    no_ray: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    max_hours: float | None,
    spent: bool,
    code: int,
) -> None:
    """Ctrl-C ends Tune in order, with trials left; so does the time limit, and only that one is what was asked for."""
    file.write_text(file.read_text(encoding="utf-8") + f"max_hours: {max_hours or 'null'}\n", encoding="utf-8")
    monkeypatch.setattr("tuning.execution.engine.Engine.run", lambda *_, more: None)
    assert run_sweep(file, SweepOptions(mlruns, offline=True)).exit_code == code
    said = capsys.readouterr().out
    assert "3 trials are not done" in said and ("(max_hours 1e-09)" in said) == spent


def test_a_stop_that_is_requested_while_the_sweep_is_planned_counts(
    file: Path, mlruns: Path, no_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planning and measuring a GPU may take minutes; one that an earlier run left is withdrawn."""
    folder = mlruns / "sweeps" / "mini"
    requested: list[bool] = []
    monkeypatch.setattr(
        "tuning.execution.engine.Engine.run", lambda *_, more: requested.append(stop_request.requested(folder))
    )
    folder.mkdir(parents=True)
    (folder / ".stop").touch()
    run_sweep(file, SweepOptions(mlruns, offline=True))
    share = SweepRun.share

    def request_then_share(run: SweepRun) -> None:
        stop_request.request(folder)
        share(run)

    monkeypatch.setattr(SweepRun, "share", request_then_share)
    run_sweep(file, SweepOptions(mlruns, resume=True, offline=True))
    assert requested == [False, True]


def test_a_refused_sweep_leaves_nothing_and_removes_nothing_else(file: Path, mlruns: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**content, "seeds": [0], "space": {"training.epochs": [0]}}), encoding="utf-8")
    with pytest.raises(LipkdError, match=r"training\.epochs"):
        run_sweep(file, SweepOptions(mlruns))
    assert not (mlruns / "sweeps").exists() and mlruns.exists()
    (mlruns / "sweeps" / "other").mkdir(parents=True)
    with pytest.raises(LipkdError, match=r"training\.epochs"):
        run_sweep(file, SweepOptions(mlruns))
    assert [path.name for path in (mlruns / "sweeps").iterdir()] == ["other"]


def test_status_and_stop_load_neither_pytorch_nor_ray_nor_mlflow() -> None:
    """They answer at once, and run on a machine that has only the sweep's folder."""
    script = "import sys, tuning.sweep, tuning.status.status, tuning.stop_request; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "ray", "mlflow", "optuna"} & set(done.stdout.split())
