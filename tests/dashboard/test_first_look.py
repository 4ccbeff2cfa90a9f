"""What a reader meets first: the sweep and trial that pages open on, the columns in sight, what was left half-way."""

import dataclasses
import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from dashboard.tracking.records import read_sweeps, read_trials
from lipkd.data.store import ClipStore
from tests.dashboard.conftest import PLAN
from tests.dashboard.opening import chosen, opened, said
from tests.dashboard.tracked import track_sweep

pytestmark = pytest.mark.usefixtures("fresh_caches")


def test_what_matters_most_is_seen_without_scrolling(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the sidebar of 1440 pixels a table has 1060; a phone's has 358. Either has 40 for the boxes of rows."""
    app = opened(tracking, "leaderboard", monkeypatch, sweep="demo")
    columns = json.loads(app.dataframe[0].proto.columns)
    shown = list(app.dataframe[0].value)
    upto = shown[: shown.index("epochs") + 1]
    assert {"trial", "best_wer", "best_cer", "wer_best_peer", "wer_ensemble", "minutes"} < set(upto)
    assert 40 + sum(columns[name]["width"] for name in upto) <= 1060
    stays = [name for name in shown if columns[name].get("pinned")]
    assert stays == ["trial"] and shown[:2] == ["trial", "best_wer"]
    assert 40 + sum(columns[name]["width"] for name in shown[:2]) <= 358
    over_seeds = json.loads(app.dataframe[1].proto.columns)
    assert sum(over_seeds[name]["width"] for name in app.dataframe[1].proto.column_order) <= 1060


def test_an_abandoned_trial_is_told_with_what_goes_on(
    mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = track_sweep(mlruns, "left", tiny_store, tiny_store.clips[:1], [PLAN[5]])
    (one,) = read_trials(uri, read_sweeps(uri)[0])
    MlflowClient(uri).set_terminated(one.run_id, "KILLED")
    asked = dataclasses.replace(one, state="abandoned", config=one.config | {"training.epochs": "8"})
    monkeypatch.setattr("dashboard.cache.trials", lambda *_: [asked])
    app = opened(uri, "sweeps", monkeypatch)
    (row,) = app.dataframe[0].value.to_dict("records")
    assert (row["done"], row["failed"], row["abandoned"]) == (25.0, 0, 1)
    assert "no process works on it any more" in said(app) and f"{one.name} after epoch 2 of 8" in said(app)
    assert "`lipkd sweep FILE --resume`" in said(app)


def test_pages_open_on_what_can_be_looked_at(
    mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best trial of `older` still runs and its predictions are away; of `latest` nothing has ended."""
    clips = tiny_store.clips[:3]
    running = [dataclasses.replace(planned, state="running") for planned in (PLAN[1], PLAN[5])]
    track_sweep(mlruns, "older", tiny_store, clips, [PLAN[0], running[0]])
    uri = track_sweep(mlruns, "latest", tiny_store, clips, running[1:], began=60.0)
    latest, older = read_sweeps(uri)
    going = [trial for sweep in (latest, older) for trial in read_trials(uri, sweep) if trial.state == "running"]
    for one in going:
        (mlruns / f"artifacts/{one.run_id}/artifacts/predictions/best.jsonl").unlink()
    for page in ("replay", "errors"):
        app = opened(uri, page, monkeypatch)
        assert (chosen(app, "sweep"), chosen(app, "a").startswith("vanilla-")) == ("older", True)
        assert not app.error
        told = said(opened(uri, page, monkeypatch, sweep="older", a=going[1].name))
        assert f"Trial {going[1].name} cannot be shown" in told and "`lipkd sync`" in told
        bare = opened(uri, page, monkeypatch, sweep="latest")
        assert "they come when a trial ends" in said(bare) and not bare.error
