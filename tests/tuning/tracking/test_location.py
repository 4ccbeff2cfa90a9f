"""Moved, renamed and copied projects: relations instead of paths."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from lipkd.tracking_uri import sqlite_path, sqlite_uri
from tuning.tracking.artifact_places import relocate_artifacts
from tuning.tracking.client import connect, default_uri, experiment_id
from tuning.tracking.location import recorded_uri, uri_of_sweep

NAMES = ["plain", "a b", "a%20b", "a?b", "a#b", "é", "it's", "a;b", "a&b=c", "100% sure"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_comes_back_from_its_uri(name: str, tmp_path: Path) -> None:
    database = tmp_path / name / "mlflow.db"
    assert sqlite_path(sqlite_uri(database)) == database
    assert not {"?", "#"} & set(sqlite_uri(database))


@pytest.mark.parametrize("name", ["a%20b", "a?b"])
def test_mlflow_makes_its_database_where_the_path_says_and_nothing_beside(name: str, tmp_path: Path) -> None:
    mlruns = tmp_path / name
    client = connect(default_uri(mlruns))
    found = client.get_experiment(experiment_id(client, "lipkd"))
    assert (mlruns / "mlflow.db").is_file()
    assert found.artifact_location == (mlruns / "artifacts").as_uri()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_the_database_beside_the_sweeps_is_recorded_as_a_relation(name: str, tmp_path: Path) -> None:
    """old/ is renamed to new/: the record leads from the sweep's new folder to the new database."""
    folder, moved = (tmp_path / name / side / "sweeps" / "demo" for side in ("old", "new"))
    recorded = recorded_uri(sqlite_uri(tmp_path / name / "old" / "mlflow.db"), folder)
    assert recorded == "sqlite:///../../mlflow.db"
    assert uri_of_sweep(moved, recorded, Path("elsewhere")) == sqlite_uri(tmp_path / name / "new" / "mlflow.db")


def test_other_stores_are_recorded_in_full_and_without_secrets(tmp_path: Path) -> None:
    folder = tmp_path / "mlruns" / "sweeps" / "demo"
    assert recorded_uri("http://me:secret@host:5000", folder) == "http://host:5000"
    aside = tmp_path / "other" / "x.db"
    assert recorded_uri(sqlite_uri(aside), folder) == sqlite_uri(aside)


def test_a_recorded_database_that_is_gone_is_named_and_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "mlruns" / "sweeps" / "demo"
    gone = tmp_path / "other" / "x.db"
    with pytest.raises(LipkdError, match=r"other/x\.db, which does not exist any more; .* --tracking-uri"):
        uri_of_sweep(folder, sqlite_uri(gone), tmp_path)
    assert not gone.parent.exists()
    assert uri_of_sweep(folder, sqlite_uri(gone), tmp_path, "http://host") == "http://host"


def test_a_sweep_without_a_record_is_tracked_beside_the_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "mlruns" / "sweeps" / "demo"
    assert uri_of_sweep(folder, None, Path("elsewhere")) == default_uri(tmp_path / "mlruns")
    assert uri_of_sweep(tmp_path / "store" / "demo", None, tmp_path / "x") == default_uri(tmp_path / "x")


def addresses(database: Path) -> set[str]:
    with sqlite3.connect(database) as connection:
        runs = {row[0] for row in connection.execute("SELECT artifact_uri FROM runs")}
        return runs | {
            row[0] for row in connection.execute("SELECT artifact_location FROM experiments WHERE name = 'lipkd'")
        }


def tracked(mlruns: Path, empty_database: Path) -> str:
    """A database with a run that has an artifact; its id."""
    mlruns.mkdir()
    shutil.copy(empty_database, mlruns / "mlflow.db")
    client = connect(default_uri(mlruns))
    run = client.create_run(experiment_id(client, "lipkd")).info.run_id
    note = mlruns / "note.txt"
    note.write_text("here")
    client.log_artifact(run, str(note))
    return run


@pytest.mark.parametrize("how", ["copied", "moved"])
def test_artifacts_of_a_copy_are_its_own(how: str, tmp_path: Path, empty_database: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new é"
    run = tracked(old, empty_database)
    before = addresses(old / "mlflow.db")
    (shutil.copytree if how == "copied" else shutil.move)(old, new)
    code = (  # another process, as in life: MLflow keeps a run's place for as long as a process lives
        "import sys; from pathlib import Path; from tuning.tracking.client import connect, default_uri\n"
        "connect(default_uri(Path(sys.argv[2]))).log_artifact(sys.argv[1], sys.argv[2] + '/note.txt', 'more')"
    )
    subprocess.run([sys.executable, "-c", code, run, str(new)], check=True, cwd=Path(__file__).parents[3])
    here = (new / "artifacts").as_uri()
    assert addresses(new / "mlflow.db") == {here, f"{here}/{run}/artifacts"}
    assert (new / "artifacts" / run / "artifacts" / "more" / "note.txt").read_text() == "here"
    assert old.exists() == (how == "copied")
    if how == "copied":
        assert addresses(old / "mlflow.db") == before
        assert not (old / "artifacts" / run / "artifacts" / "more").exists()


def test_artifacts_that_were_put_elsewhere_stay_there(tmp_path: Path, mlruns: Path) -> None:
    client = connect(default_uri(mlruns))
    elsewhere = (tmp_path / "big disk" / "artifacts").as_uri()
    (tmp_path / "big disk" / "artifacts").mkdir(parents=True)
    client.create_run(client.create_experiment("lipkd", artifact_location=elsewhere))
    assert not relocate_artifacts(mlruns / "mlflow.db")
    assert addresses(mlruns / "mlflow.db") >= {elsewhere}
