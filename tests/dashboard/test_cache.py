"""What is kept between reruns: nothing is read again without need, and nothing new is missed."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient

from dashboard import cache, serve
from dashboard.tracking import records
from dashboard.tracking.records import Curve, read_sweeps
from lipkd.data.store import ClipStore
from tests.dashboard.tracked import Planned, track_sweep

pytestmark = pytest.mark.usefixtures("fresh_caches")
RUNNING = Planned((0.9, 0.8), (0.5, 0.4), state="running")


@pytest.fixture
def live(mlruns: Path, tiny_store: ClipStore) -> str:
    """A database with a trial that goes on."""
    return track_sweep(mlruns, "live", tiny_store, tiny_store.clips[:1], [RUNNING])


def test_trials_are_read_again_when_somebody_has_written(live: str) -> None:
    (sweep,) = read_sweeps(live)
    (first,) = cache.trials_now(live, sweep, 1)
    assert cache.trials_now(live, sweep, 2)[0] is first
    MlflowClient(live).log_metric(first.run_id, "val/wer", 0.1, step=3)
    (second,) = cache.trials_now(live, sweep, 3)
    assert (first.wer, first.epochs) == (0.8, 2)
    assert (second.wer, second.epochs) == (0.1, 3)


def test_nothing_is_taken_for_unchanged_on_a_server(live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "database_state", lambda _: None)
    (sweep,) = read_sweeps(live)
    assert cache.trials_now(live, sweep, 1)[0] is not cache.trials_now(live, sweep, 2)[0]
    assert records.database_state("http://127.0.0.1:1") is None


def test_curves_are_read_again_when_the_trial_has_gone_on(live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (sweep,) = read_sweeps(live)
    (curve,) = cache.curves(live, cache.trials_now(live, sweep, 1), "val/wer")
    assert curve.values == (0.9, 0.8)
    MlflowClient(live).log_metric(curve.run_id, "val/wer", 0.1, step=3)
    later = cache.trials_now(live, sweep, 2)
    assert cache.curves(live, later, "val/wer")[0].values == (0.9, 0.8, 0.1)
    monkeypatch.setattr(records, "read_curves", None)  # it is not called again
    assert cache.curves(live, later, "val/wer")[0].values == (0.9, 0.8, 0.1)


def test_few_curves_are_kept(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_CURVES", 2)
    demo = next(sweep for sweep in read_sweeps(tracking) if sweep.name == "demo")
    trials = cache.trials_now(tracking, demo, 1)
    for trial in trials[:5]:
        assert cache.curves(tracking, [trial], "val/wer")[0].run_id == trial.run_id
    assert len(cache._known_curves()) <= 2


def test_a_session_keeps_its_curves_while_another_overflows_the_cache(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first session knows one of its two curves and waits for the other while a second session fills the cache."""
    monkeypatch.setattr(cache, "MOST_CURVES", 2)
    demo = next(sweep for sweep in read_sweeps(tracking) if sweep.name == "demo")
    trials = cache.trials_now(tracking, demo, 1)[:5]
    read, waits, filled = records.read_curves, threading.Event(), threading.Event()
    cache.curves(tracking, trials[:1], "val/wer")

    def slow(uri: str, run_ids: Sequence[str], metric: str) -> list[Curve]:
        if list(run_ids) == [trials[1].run_id]:
            waits.set()
            assert filled.wait(60)
        return read(uri, run_ids, metric)

    monkeypatch.setattr(records, "read_curves", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.curves, tracking, trials[:2], "val/wer")
        assert waits.wait(60)
        cache.curves(tracking, trials[2:5], "val/wer")
        filled.set()
        assert [curve.run_id for curve in first.result(60)] == [trial.run_id for trial in trials[:2]]
    assert len(cache._known_curves()) <= 2


def test_the_server_has_read_the_trials_before_anybody_comes(live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPKD_TRACKING_URI", live)
    monkeypatch.setattr("streamlit.runtime.exists", lambda: True)
    (sweep,) = read_sweeps(live)
    serve.prepare()
    monkeypatch.setattr(records, "read_trials", None)
    assert [trial.wer for trial in cache.trials_now(live, sweep, 1)] == [0.8]


def test_what_cannot_be_prepared_stops_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPKD_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setattr("streamlit.runtime.exists", lambda: True)
    serve.prepare()
    assert not list(tmp_path.iterdir())
