"""Sweeps laid over each other: one table, one set of curves and one verdict over the trials of several."""

from pathlib import Path

import pytest

from dashboard.shell import page_frame
from dashboard.tracking.records import Sweep, read_sweeps, read_trials
from lipkd.data.store import ClipStore
from tests.dashboard.opening import opened, said, written
from tests.dashboard.tracked import Planned, track_sweep

pytestmark = pytest.mark.usefixtures("fresh_caches")
ALONE = Planned((1.0, 0.8, 0.5, 0.6), (0.9, 0.5, 0.2, 0.3))
TAUGHT = Planned((1.0, 0.7, 0.4, 0.3), (0.9, 0.4, 0.2, 0.1), "attention", 2)
NARROW = Planned((1.0, 0.9, 0.8, 0.7), (0.9, 0.8, 0.5, 0.4), width=0.5)
TOGETHER: dict[str, str | list[str]] = {"sweep": "wide", "also": ["narrow"]}


@pytest.fixture
def two_sweeps(mlruns: Path, tiny_store: ClipStore) -> str:
    """`wide` (alone) and `narrow` (taught, and a narrow one), and the trial that both have, with one result."""
    val = [clip for clip in tiny_store.clips if clip.speaker == "cleo"]
    track_sweep(mlruns, "narrow", tiny_store, val, [ALONE, NARROW, TAUGHT])
    return track_sweep(mlruns, "wide", tiny_store, val, [ALONE], began=60.0)


def test_one_table_over_two_sweeps(two_sweeps: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(two_sweeps, "leaderboard", monkeypatch, sweep="wide")
    assert len(app.dataframe[0].value) == 1 and "sweep" not in app.dataframe[0].value
    app.multiselect(key="also").set_value(["narrow"]).run()
    rows = app.dataframe[0].value
    assert list(rows["best_wer"]) == pytest.approx([30.0, 50.0, 70.0])
    assert list(rows["sweep"]) == ["narrow", "wide", "narrow"]
    assert app.query_params["also"] == "narrow"
    assert not said(app)


def test_rates_by_sweep_where_there_are_several(two_sweeps: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(two_sweeps, "leaderboard", monkeypatch, **TOGETHER, by="sweep")
    assert app.query_params["by"] == "sweep"
    app = opened(two_sweeps, "leaderboard", monkeypatch, sweep="wide", by="sweep")
    assert app.query_params["by"] == "setting"


def test_trials_of_two_sweeps_are_set_against_each_other(two_sweeps: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = {"one": "attention ×2, width 1", "other": "vanilla, width 1"}
    app = opened(two_sweeps, "compare", monkeypatch, **TOGETHER, **sides)
    assert len(app.multiselect(key="trials").value) == 3
    assert "attention ×2 (width 1)" in written(app) and "with one seed" in written(app)
    assert not said(app)


def test_a_trial_of_another_sweep_is_replayed_beside(two_sweeps: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [trial.name for trial in read_trials(two_sweeps, sweep_named(two_sweeps, "narrow"))]
    app = opened(two_sweeps, "replay", monkeypatch, **TOGETHER, a=names[1], b=names[2])
    assert [app.selectbox(key=key).value for key in "ab"] == [names[1], names[2]]
    assert not app.error


def test_other_clips_are_said_to_be_others(
    two_sweeps: str, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [clip for clip in tiny_store.clips if clip.speaker != "cleo"]
    folder = Path(two_sweeps.removeprefix("sqlite:///")).parent
    track_sweep(folder, "elsewhere", tiny_store, others, [NARROW], began=120.0)
    app = opened(two_sweeps, "leaderboard", monkeypatch, sweep="wide", also=["elsewhere"])
    assert "validated on different clips" in said(app)
    assert len(app.dataframe[0].value) == 2


def test_equal_names_are_told_apart_by_their_sweeps(two_sweeps: str) -> None:
    trials = [t for name in ("wide", "narrow") for t in read_trials(two_sweeps, sweep_named(two_sweeps, name))]
    labels = list(page_frame.trial_labels(trials))
    assert [label.split(" (")[1].split(",")[0] for label in labels if "(" in label] == ["wide", "narrow"]
    assert len(labels) == 4


def sweep_named(uri: str, name: str) -> Sweep:
    return next(sweep for sweep in read_sweeps(uri) if sweep.name == name)
