"""The page Errors, run in process by Streamlit's AppTest."""

import dataclasses
import json
from pathlib import Path

import pytest

from dashboard.tracking.records import read_sweeps, read_trials
from lipkd.data.store import ClipStore
from tests.dashboard.conftest import PLAN
from tests.dashboard.opening import chosen, named, opened, said, written
from tests.dashboard.tracked import track_sweep

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.mark.parametrize("part", ["letters", "mouth shapes", "words", "speakers", "sentences", "A against B"])
def test_every_part_of_the_errors(part: str, tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = named(tracking, "vanilla-w0.5-"), named(tracking, "vanilla-w1-")
    app = opened(tracking, "errors", monkeypatch, sweep="demo", a=a, b=b, part=part)
    assert not app.error and not app.warning
    assert len(app.dataframe[0].value)
    assert "clips have an error" in written(app)
    assert ("one mouth shape" in written(app)) == (part in ("letters", "mouth shapes"))


def test_errors_against_nobody(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Choose a trial B" in said(opened(tracking, "errors", monkeypatch, sweep="demo", part="A against B"))


def test_the_clips_that_trials_fail_on(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six trials have predictions; the one that runs is left out of the finished ones, and vanilla is two of these."""
    app = opened(tracking, "errors", monkeypatch, sweep="demo", part="hardest clips")
    assert not app.error and "Counted: 6 of 6 trials" in written(app)
    table = app.dataframe[0].value
    assert len(table) == 6 and set(table["trials"]) == {6}
    assert list(table["wrong"]) == sorted(table["wrong"], reverse=True)
    none, every = int((table["wrong"] == 6).sum()), int((table["wrong"] == 0).sum())
    assert f"{none} of 6 clips {'has' if none == 1 else 'have'} an error in every trial, {every} in none" in written(
        app
    )
    assert "not all validated on the same clips" not in written(app)
    assert "a" not in app.query_params
    app.selectbox(key="over").set_value("finished trials").run()
    assert "Counted: 5 of 6 trials" in written(app)
    app.multiselect(key="methods").set_value(["vanilla"]).run()
    assert "Counted: 2 of 6 trials" in written(app)
    assert set(app.dataframe[0].value["best"]) <= {named(tracking, "vanilla-w1-"), named(tracking, "vanilla-w0.5-")}
    assert app.query_params["methods"] in ("vanilla", ["vanilla"])
    app.multiselect(key="methods").set_value(["attention ×2"]).run()
    app.selectbox(key="over").set_value("all trials").run()
    assert "Counted: 3 of 6 trials" in written(app)


def test_a_row_of_the_hard_clips_opens_replay_with_who_reads_it_best(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(tracking, "errors", monkeypatch, sweep="demo", part="hardest clips")
    row = app.dataframe[0].value.iloc[2]
    app.session_state["errors hardest"] = {"selection": {"rows": [], "columns": [], "cells": [(2, "clip")]}}
    app.run()
    assert app.title[0].value == "Replay"
    assert (chosen(app, "clip"), chosen(app, "a")) == (row["clip"], row["best"])
    replayed = app.dataframe[0].value.set_index("clip")["wer_a"]
    assert replayed[row["clip"]] == pytest.approx(row["lowest"])


def test_trials_whose_predictions_come_later_are_left_out_until_then(
    mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two trials on other clips than a third one, whose predictions are first away, then there."""
    cleo = [clip for clip in tiny_store.clips if clip.speaker == "cleo"]
    uri = track_sweep(mlruns, "mixed", tiny_store, cleo, [*PLAN[:2], dataclasses.replace(PLAN[2], state="running")])
    (late,) = (trial for trial in read_trials(uri, read_sweeps(uri)[0]) if trial.state == "running")
    (file,) = mlruns.glob(f"artifacts/{late.run_id}/artifacts/predictions/best.jsonl")
    file.rename(mlruns / "away")
    app = opened(uri, "errors", monkeypatch, part="hardest clips")
    assert "Counted: 2 of 3 trials" in written(app)
    assert f"Left out: {late.name}, it has no predictions in MLflow yet" in written(app)
    app.selectbox(key="over").set_value("finished trials").run()
    assert "Left out" not in written(app)
    other = opened(uri, "errors", monkeypatch, a=late.name)
    assert f"Trial {late.name} cannot be shown: it has no predictions in MLflow yet" in said(other)
    kept = [json.loads(line) for line in (mlruns / "away").read_text().splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in kept[:4]))
    app.selectbox(key="over").set_value("all trials").run()
    assert "Counted: 3 of 3 trials" in written(app)
    assert "not all validated on the same clips" in written(app)
    assert sorted(app.dataframe[0].value["trials"]) == [2, 2, 3, 3, 3, 3]
    assert not other.run().error
