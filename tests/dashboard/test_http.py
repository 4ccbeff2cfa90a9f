"""The dashboard on a tracking server: what it reads over HTTP is what lies in the database."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dashboard import cache
from dashboard.analysis.verdict import verdict
from dashboard.tracking import records
from tests.chaos.arena import Server
from tests.dashboard.opening import PAGES, opened, said


@pytest.fixture(scope="module")
def served(tracking: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a copy of the tracked sweeps, whose artifacts go through it too."""
    source = Path(tracking.removeprefix("sqlite:///")).parent
    folder = tmp_path_factory.mktemp("served") / "mlruns"
    shutil.copytree(source, folder)
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        old = (source / "artifacts").as_uri()
        database.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, 'mlflow-artifacts:')", (old,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # starts in half the time
        server = Server(folder)
        server.start()
        try:
            server.wait_until_it_answers()
            yield server.uri
        finally:
            server.kill()


@pytest.mark.timeout(600)
def test_over_http_everything_is_the_same(tracking: str, served: str) -> None:
    """Sweeps, trials with times and ensembles, curves, predictions, posteriors and the verdict."""
    assert records.read_sweeps(served) == records.read_sweeps(tracking)
    for sweep in records.read_sweeps(tracking):
        trials = records.read_trials(tracking, sweep)
        assert records.read_trials(served, sweep) == trials
        for trial in trials:
            for metric in ("val/wer", "train/loss", "no/such"):
                one, other = (records.read_curve(uri, trial.run_id, metric) for uri in (served, tracking))
                assert one == other
            assert records.read_predictions(served, trial.run_id) == records.read_predictions(tracking, trial.run_id)
    best, second = records.read_trials(tracking, records.read_sweeps(tracking)[1])[:2]
    near, far = (records.read_posteriors(uri, best.run_id) for uri in (tracking, served))
    assert near is not None and far is not None and near.symbols == far.symbols
    assert near.arrays.keys() == far.arrays.keys()
    assert all(np.array_equal(near.arrays[clip], far.arrays[clip]) for clip in near.arrays)
    assert cache.best_peer_hypotheses(served, [best]) == cache.best_peer_hypotheses(tracking, [best])
    assert verdict(served, [best], [second]) == verdict(tracking, [best], [second])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_on_a_server(page: str, served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(served, page, monkeypatch, sweep="demo")
    assert app.selectbox(key="sweep").value == "demo"
    assert not app.error and not app.warning, said(app)
