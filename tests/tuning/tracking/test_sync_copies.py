"""A sweep that was renamed, copied or moved never sends into the runs of the one that it was before."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.tuning.store_picture import RunPicture, picture
from tests.tuning.trials import journal_line, trial_config, write_trial
from tuning.plan.planner import Planned
from tuning.sweep_folder import begin
from tuning.tracking.client import default_uri
from tuning.tracking.sync_folders import sync_folders

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def sweep(mlruns: Path) -> Path:
    folder = mlruns / "sweeps" / "a"
    write_trial(folder, [1.0, 0.5], state="finished", name="one")
    write_trial(folder, [1.0], config=trial_config(seed=1), name="two")
    assert sync_folders([folder], mlruns=mlruns) == 0
    return folder


@pytest.fixture
def shared(tmp_path: Path, empty_database: Path) -> Path:
    """A tracking store that several projects use, as they would a server."""
    folder = tmp_path / "shared"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


def digest(folder: Path) -> dict[str, tuple[str, int]]:
    """Content and time of change of every file. SQLite's own index of its log changes with each reader."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def of_sweep(mlruns: Path, name: str) -> dict[str, RunPicture]:
    """Run name → run, of the runs of a sweep."""
    return {
        run_name: run for run_name, runs in picture(mlruns).items() for run in runs if run.tags["lipkd.sweep"] == name
    }


def parents(mlruns: Path) -> dict[str, set[str]]:
    """Sweep → the parents of its trials' runs."""
    found: dict[str, set[str]] = {}
    for run in MlflowClient(default_uri(mlruns)).search_runs(["1"], "tags.`lipkd.kind` = 'trial'"):
        found.setdefault(run.data.tags["lipkd.sweep"], set()).add(run.data.tags["mlflow.parentRunId"])
    return found


def test_a_copied_sweep_gets_runs_of_its_own(sweep: Path, mlruns: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, folder_before = of_sweep(mlruns, "a"), digest(sweep)
    copy = mlruns / "sweeps" / "b"
    shutil.copytree(sweep, copy)
    with open(copy / "two" / "journal.jsonl", "a", encoding="utf-8") as journal:
        journal.write(journal_line(2, 0.25))
    capsys.readouterr()
    assert sync_folders([copy], mlruns=mlruns) == 0
    line = "sweep b: its trials were tracked as sweep a before; they get runs of their own\n"
    assert capsys.readouterr().out.count(line) == 1
    assert of_sweep(mlruns, "a") == before and digest(sweep) == folder_before
    copied = of_sweep(mlruns, "b")
    assert set(copied) == {"b", "one", "two"}
    assert copied["two"].steps("val/wer") == [1, 2] and copied["two"].tags["lipkd.folder"] == str(copy / "two")
    assert copied["one"].files == before["one"].files
    parent_of = parents(mlruns)
    assert len(parent_of["a"]) == len(parent_of["b"]) == 1 and parent_of["a"] != parent_of["b"]
    assert sync_folders([sweep, copy], mlruns=mlruns) == 0
    assert "runs of their own" not in capsys.readouterr().out
    assert of_sweep(mlruns, "a") == before and of_sweep(mlruns, "b") == copied


def test_a_copied_trial_gets_a_run_of_its_own(sweep: Path, mlruns: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = of_sweep(mlruns, "a")
    shutil.copytree(sweep / "one", sweep / "three")
    capsys.readouterr()
    assert sync_folders([sweep], mlruns=mlruns) == 0
    assert "trial three: it was tracked as trial one before; it gets a run of its own\n" in capsys.readouterr().out
    after = of_sweep(mlruns, "a")
    assert set(after) == {"a", "one", "two", "three"}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("cursors", [False, True])
def test_a_copied_project_on_the_same_server_sends_nothing(
    tmp_path: Path, shared: Path, recorded: bool, cursors: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """With and without a record of the sweep, with and without the copied notes of what has been sent."""
    uri = default_uri(shared)
    sweep = tmp_path / "project" / "sweeps" / "a"
    config = trial_config()
    write_trial(sweep, [1.0, 0.5], config=config, name="one")
    if recorded:
        record = begin(sweep, experiment="lipkd", working_folder=tmp_path)
        record.add([Planned("one", config)])
    assert sync_folders([sweep], mlruns=tmp_path / "project", tracking_uri=uri) == 0
    before, folder_before = picture(shared), digest(tmp_path / "project" / "sweeps")
    copy = tmp_path / "copy" / "sweeps" / "a"
    shutil.copytree(sweep, copy)
    if not cursors:
        for path in copy.rglob("sync.json"):
            path.unlink()
    with open(copy / "one" / "journal.jsonl", "a", encoding="utf-8") as journal:
        journal.write(journal_line(3, 0.25))
    write_trial(copy, [0.5], config=trial_config(seed=9), name="other")
    capsys.readouterr()
    assert sync_folders([copy], mlruns=tmp_path / "copy", tracking_uri=uri) == 1
    folder = sweep if recorded else sweep / "one"
    way_out = f"is tracked from {folder}, which is there too: rename this sweep or give another --tracking-uri\n"
    assert way_out in capsys.readouterr().err
    after = picture(shared)
    assert {name: runs for name, runs in after.items() if name != "other"} == before
    assert ("other" in after) == (not recorded)
    assert digest(tmp_path / "project" / "sweeps") == folder_before

    renamed = copy.rename(copy.with_name("b"))
    assert sync_folders([renamed], mlruns=tmp_path / "copy", tracking_uri=uri) == 0
    assert of_sweep(shared, "b")["one"].steps("val/wer") == [1, 2, 3]
    assert of_sweep(shared, "a")["one"] == before["one"][0]


def test_a_moved_project_goes_on_with_its_runs(tmp_path: Path, shared: Path) -> None:
    uri = default_uri(shared)
    sweep = tmp_path / "project" / "sweeps" / "a"
    config = trial_config()
    write_trial(sweep, [1.0, 0.5], config=config, name="one")
    begin(sweep, experiment="lipkd", working_folder=tmp_path).add([Planned("one", config)])
    assert sync_folders([sweep], mlruns=tmp_path / "project", tracking_uri=uri) == 0
    os.rename(tmp_path / "project", tmp_path / "moved")
    moved = tmp_path / "moved" / "sweeps" / "a"
    with open(moved / "one" / "journal.jsonl", "a", encoding="utf-8") as journal:
        journal.write(journal_line(3, 0.25))
    assert sync_folders([moved], mlruns=tmp_path / "moved", tracking_uri=uri) == 0
    runs = picture(shared)
    assert {name: len(found) for name, found in runs.items()} == {"a": 1, "one": 1}
    [one], [parent] = runs["one"], runs["a"]
    assert one.steps("val/wer") == [1, 2, 3]
    assert one.tags["lipkd.folder"] == str(moved / "one") and parent.tags["lipkd.folder"] == str(moved)
    assert not (tmp_path / "project").exists()


def test_a_project_copied_with_its_own_database_goes_on_in_the_copy(sweep: Path, mlruns: Path, tmp_path: Path) -> None:
    before = digest(mlruns)
    copy = tmp_path / "copy"
    shutil.copytree(mlruns, copy)
    with open(copy / "sweeps" / "a" / "two" / "journal.jsonl", "a", encoding="utf-8") as journal:
        journal.write(journal_line(2, 0.25))
    (copy / "sweeps" / "a" / "one" / "failure.txt").write_text("a new file\n", encoding="utf-8")
    (copy / "sweeps" / "a" / "one" / "provenance.json").write_text("[]\n", encoding="utf-8")
    # A process of its own, as MLflow remembers in its process where the artifacts of a run lie.
    subprocess.run([sys.executable, "-m", "lipkd", "sync", "--mlruns", str(copy)], cwd=ROOT, check=True)
    assert digest(mlruns) == before
    runs = picture(copy)
    assert {name: len(found) for name, found in runs.items()} == {"a": 1, "one": 1, "two": 1}
    assert runs["two"][0].steps("val/wer") == [1, 2]
    assert runs["one"][0].tags["lipkd.folder"] == str(copy / "sweeps" / "a" / "one")
    assert "failure.txt" in runs["one"][0].files
