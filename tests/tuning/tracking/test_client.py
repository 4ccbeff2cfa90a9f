import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from lipkd.tracking_uri import public_uri
from tuning.tracking.client import choose_uri, connect, default_uri, experiment_id


def test_the_first_uri_that_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert choose_uri(Path("mlruns"), None, None) == own == default_uri(Path("mlruns"))
    assert choose_uri(Path("mlruns"), "sqlite:///a/b.db") == f"sqlite:///{tmp_path}/a/b.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://env:5000")
    assert choose_uri(Path("mlruns"), None, None) == "http://env:5000"
    assert choose_uri(Path("mlruns"), None, "http://file:1") == "http://file:1"
    assert choose_uri(Path("mlruns"), "postgresql+psycopg2://db/x", "http://file:1") == "postgresql+psycopg2://db/x"


@pytest.mark.parametrize("uri", ["mlruns", "/abs/mlruns", "file:///mlruns", "ftp://host"])
def test_a_uri_that_keeps_no_runs(uri: str) -> None:
    with pytest.raises(LipkdError, match="give http://HOST:PORT"):
        choose_uri(Path("mlruns"), uri)


@pytest.mark.parametrize(
    ("uri", "public"),
    [
        ("http://me:secret@host:5000/x", "http://host:5000/x"),
        ("postgresql://u:p%40ss@db/lips", "postgresql://db/lips"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////a@b/mlflow.db", "sqlite:////a@b/mlflow.db"),
    ],
)
def test_passwords_stay_private(uri: str, public: str) -> None:
    assert public_uri(uri) == public


@pytest.mark.timeout(60)
def test_a_database_host_where_nobody_listens() -> None:
    with pytest.raises(LipkdError, match=r"tracking store postgresql://127\.0\.0\.1:1/x does not answer"):
        connect("postgresql://u:secret@127.0.0.1:1/x")


@pytest.mark.timeout(60)
def test_a_database_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(LipkdError, match=r"mlflow\.db cannot be opened"):
        connect(default_uri(tmp_path))


def test_the_database_is_in_wal_mode_and_artifacts_lie_beside_it(mlruns: Path) -> None:
    client = connect(default_uri(mlruns))
    found = client.get_experiment(experiment_id(client, "lipkd"))
    assert found.artifact_location == (mlruns / "artifacts").as_uri()
    assert sqlite3.connect(mlruns / "mlflow.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_experiment_is_made_once(mlruns: Path) -> None:
    found: list[str] = []

    def work() -> None:
        client = connect(default_uri(mlruns))
        found.append(experiment_id(client, "lips"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1


def test_a_deleted_experiment_is_named(mlruns: Path) -> None:
    client = connect(default_uri(mlruns))
    deleted = experiment_id(client, "lips")
    client.delete_experiment(deleted)
    with pytest.raises(LipkdError, match="MLflow experiment 'lips' was deleted: restore it with `MLFLOW") as refused:
        experiment_id(client, "lips")
    command = str(refused.value).split("`")[1]  # the UI cannot restore an experiment
    subprocess.run(command.replace(" mlflow ", f" {sys.executable} -m mlflow "), shell=True, check=True)
    assert experiment_id(client, "lips") == deleted


def test_mlflow_is_imported_only_when_it_is_needed() -> None:
    code = "import sys, tuning.tracking.sync, tuning.sweep, tuning.tracking.sync_process\n"
    code += "print({'mlflow', 'ray'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"
