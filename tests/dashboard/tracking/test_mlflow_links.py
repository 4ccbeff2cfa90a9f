"""Links to MLflow's own UI."""

import pytest

from dashboard.tracking.mlflow_links import run_link, ui_address
from tests.dashboard.analysis.test_matched_pairs import trial


def test_a_database_is_shown_where_the_reader_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPKD_UI", "http://127.0.0.1:5051")
    assert ui_address("sqlite:////tmp/mlflow.db") == "http://127.0.0.1:5051"
    assert ui_address("https://tracks.example/mlflow") == "https://tracks.example/mlflow"


def test_a_server_shows_its_runs_and_its_password_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIPKD_UI", raising=False)
    assert ui_address("https://ada:hush@tracks.example:8080/mlflow/?x=1") == "https://tracks.example:8080/mlflow"
    assert ui_address("sqlite:////tmp/mlflow.db") == "http://127.0.0.1:5000"
    assert ui_address("postgresql://ada:hush@host/db") == "http://127.0.0.1:5000"


def test_ids_stay_in_their_place() -> None:
    odd = trial("dml", 2, 0.5, seed=0, rate="/../#'\"<x>")
    assert (
        run_link("http://h:1", odd)
        == "http://h:1/#/experiments/1/runs/dml210%2F..%2F%23%27%22%3Cx%3E?workflowType=machine_learning"
    )
