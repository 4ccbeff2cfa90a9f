"""A tracking folder with MLflow's tables in it; making them takes seconds, so it is done once and copied."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from tuning.tracking.client import connect, default_uri


@pytest.fixture(autouse=True)
def _no_tracking_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "LIPKD_MLRUNS", "LIPKD_STORAGE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("database")
    connect(default_uri(folder))
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(folder / "whole.db"),))  # one file, without its WAL beside it
    return folder / "whole.db"


@pytest.fixture
def mlruns(tmp_path: Path, empty_database: Path) -> Path:
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder
