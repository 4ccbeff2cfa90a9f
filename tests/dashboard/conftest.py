"""One tracked sweep on the tiny store, made once: every page and every record is tested on it."""

import shutil
from pathlib import Path

import pytest
import streamlit as st
from mlflow import MlflowClient

from lipkd.data.store import ClipStore
from tests.dashboard.tracked import Planned, track_sweep

PLAN = (
    Planned((1.0, 0.8, 0.5, 0.6), (0.9, 0.5, 0.2, 0.3)),
    Planned((1.0, 0.7, 0.4, 0.3), (0.9, 0.4, 0.2, 0.1), "attention", 2),
    Planned((1.0, 0.9, 0.8, 0.7), (0.9, 0.8, 0.5, 0.4), width=0.5),
    Planned((1.0, 0.9, 0.85, 0.75), (0.9, 0.8, 0.5, 0.5), "attention", 2, width=0.5),
    Planned((1.0, 0.8, 0.6, 0.5), (0.9, 0.5, 0.3, 0.2), "independent", 2),
    Planned((1.0, 0.9), (0.9, 0.8), "attention", 2, width=0.25, state="running"),
    Planned((), (), "attention", 2, seed=1, state="failed", reason="FloatingPointError: train/loss is not finite"),
)


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, tiny_store: ClipStore) -> str:
    """The URI of a database with the sweeps `demo` (PLAN, validated on cleo's clips) and `later` (one trial)."""
    folder = tmp_path_factory.mktemp("tracking")
    shutil.copy(empty_database, folder / "mlflow.db")
    val = [clip for clip in tiny_store.clips if clip.speaker == "cleo"]
    track_sweep(folder, "demo", tiny_store, val, PLAN)
    return track_sweep(folder, "later", tiny_store, val, PLAN[:1], began=60.0)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them: making the tables takes seconds, a copy does not."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def mlruns(tmp_path: Path, empty_database: Path) -> Path:
    """A tracking folder for one test."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


@pytest.fixture(autouse=True)
def _cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Encoded clips go to a temporary folder, not into the cache of whoever runs the tests."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def fresh_caches() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()
