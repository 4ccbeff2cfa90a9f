"""MLflow's local database: whole or absent, and one sentence for everything that it should not be."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from tuning.tracking.client import connect, default_uri


def test_a_kill_while_the_schema_is_made_leaves_nothing_broken(tmp_path: Path) -> None:
    """Killed at the first sign of the database, which is when half of its tables are missing."""
    code = "import sys; from tuning.tracking.client import connect; connect(sys.argv[1])"
    for _ in range(2):
        made = subprocess.Popen([sys.executable, "-c", code, default_uri(tmp_path)], start_new_session=True)
        while made.poll() is None and not (tmp_path / ".mlflow.db.making").exists():
            time.sleep(0.005)
        os.killpg(made.pid, signal.SIGKILL)
        made.wait()
        assert not (tmp_path / "mlflow.db").exists()
    assert connect(default_uri(tmp_path)).search_experiments()
    assert not list(tmp_path.glob(".mlflow.db.making*"))


def test_a_full_disk_while_it_is_made_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("tuning.tracking.database.os.replace", full)
        with pytest.raises(LipkdError, match=r"mlflow\.db cannot be made \(No space left on device\)"):
            connect(default_uri(tmp_path))
    assert not list(tmp_path.glob("*.db")) and connect(default_uri(tmp_path))


def broken(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (("CREATE TABLE experiments (x)", "CREATE TABLE runs (x)"), "made only in part .* remove it"),
        (("CREATE TABLE songs (x)",), "a SQLite database, but not MLflow's"),
    ],
)
def test_what_is_no_whole_database_of_mlflow(statements: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    broken(tmp_path / "mlflow.db", *statements)
    before = (tmp_path / "mlflow.db").read_bytes()
    with pytest.raises(LipkdError, match=sentence):
        connect(default_uri(tmp_path))
    assert (tmp_path / "mlflow.db").read_bytes()[100:] == before[100:]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("hello\n" * 100)
    with pytest.raises(LipkdError, match="move it away"):
        connect(default_uri(tmp_path))
    assert (tmp_path / "mlflow.db").read_text().startswith("hello")


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    assert connect(default_uri(tmp_path)).search_experiments()


@pytest.mark.parametrize(
    ("revision", "sentence"), [("ffffffffffff", "by a newer MLflow"), ("acf3f17fdcc7", "by an older MLflow .*upgrade")]
)
def test_a_database_of_another_mlflow(revision: str, sentence: str, mlruns: Path) -> None:
    broken(mlruns / "mlflow.db", f"UPDATE alembic_version SET version_num = '{revision}'")
    with pytest.raises(LipkdError, match=sentence):
        connect(default_uri(mlruns))
