"""The pages' logic, run in process by Streamlit's AppTest; what only a browser shows is in test_browser.py."""

import dataclasses
import json
from pathlib import Path

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.tracking.records import read_sweeps, read_trials
from lipkd.data.store import ClipStore
from tests.dashboard.conftest import PLAN
from tests.dashboard.opening import chosen, named, opened, played, said, written
from tests.dashboard.tracked import track_sweep

pytestmark = pytest.mark.usefixtures("fresh_caches")
INTERVAL: dict[str, object] = {
    **{"setting": "vanilla, width 1", "seeds": 2, "minutes": 1.0},
    **{"wer": 0.4, "low": 0.3, "high": 0.5, "lowest": 0.39, "highest": 0.41, "cer": 0.2},
}


def test_leaderboard_lists_every_trial_the_best_first(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "leaderboard", monkeypatch, sweep="demo")
    table = app.dataframe[0].value
    assert len(table) == len(PLAN)
    first = table.iloc[0]
    assert (first["method"], first["peers"], first["width"]) == ("attention", 2, "1")
    assert first["best_wer"] == pytest.approx(30.0)
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Lowest WER"] == "30.0 %"
    assert metrics["Lowest CER"] == "10.0 %"
    assert metrics["State"] == "5 finished, 1 running, 1 failed"
    assert [first["wer_best_peer"], first["wer_ensemble"]] == pytest.approx([28.5, 27.0])
    (tile,) = (metric for metric in app.metric if metric.label == "Lowest WER")
    help_ = tile.proto.help.replace("\\", "")
    assert "mean of its 2 peers; WER of the best peer 28.5 %; WER of the ensemble 27.0 %" in help_
    assert any("means over a trial's peers" in caption.value for caption in app.caption)
    assert not app.error


def test_all_sweeps_with_what_they_have_reached(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`demo` still has a trial that runs: 22 of its epochs are done (two of two of the running one)."""
    app = opened(tracking, "sweeps", monkeypatch, sweep="demo")
    rows = {row["sweep"]: row for row in app.dataframe[0].value.to_dict("records")}
    assert list(rows) == ["later", "demo"]
    assert (rows["demo"]["state"], rows["later"]["state"]) == ("running", "finished")
    assert (rows["demo"]["trials"], rows["demo"]["failed"]) == (7, 1)
    assert [rows["demo"]["best_wer"], rows["later"]["best_wer"]] == pytest.approx([30.0, 50.0])
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Trials"] == "5 finished, 1 running, 1 failed"
    assert "Left" in metrics and not app.error
    app.selectbox(key="sweep").set_value("later").run()
    assert "Left" not in {metric.label for metric in app.metric}


def test_a_live_sweep_is_read_again(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part that runs by itself shows what has been reported meanwhile."""
    app = opened(tracking, "sweeps", monkeypatch, sweep="demo")
    before = next(metric.value for metric in app.metric if metric.label == "Lowest WER")
    demo = next(sweep for sweep in read_sweeps(tracking) if sweep.name == "demo")
    better = [dataclasses.replace(trial, best_wer=0.01) for trial in read_trials(tracking, demo)]
    monkeypatch.setattr("dashboard.cache.trials_now", lambda *_: better)
    app.run()
    assert (before, next(metric.value for metric in app.metric if metric.label == "Lowest WER")) == ("30.0 %", "1.0 %")


def test_the_latest_sweep_is_shown_when_none_is_asked_for(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "leaderboard", monkeypatch)
    assert app.selectbox(key="sweep").value == "later"
    assert len(app.dataframe[0].value) == 1


def test_filters_of_the_leaderboard_come_from_the_url(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "leaderboard", monkeypatch, sweep="demo", method=["vanilla"], width=["0.5"])
    (row,) = app.dataframe[0].value.to_dict("records")
    assert (row["method"], row["width"], row["best_wer"]) == ("vanilla", "0.5", pytest.approx(70.0))
    app.multiselect(key="method").set_value(["attention"]).run()
    assert [row["method"] for row in app.dataframe[0].value.to_dict("records")] == ["attention"]
    app.multiselect(key="method").set_value(["independent"]).run()
    assert "No trial fits" in said(app)


def test_a_filter_with_nothing_to_choose_is_not_there(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All trials of `demo` have batches of four clips; `later` has one trial."""
    app = opened(tracking, "leaderboard", monkeypatch, sweep="demo", width=["0.5"], state=["finished"])
    labels = [menu.label for menu in app.multiselect]
    assert labels == ["Method", "Peers", "Width", "Seed", "State", "And trials of"]
    assert any(c.value.replace("\\", "") == "2 of 7 trials, Width: 0.5, State: finished" for c in app.caption)
    app = opened(tracking, "leaderboard", monkeypatch, sweep="later")
    assert [menu.label for menu in app.multiselect] == ["And trials of"]


def test_any_parameter_filters_and_cost_has_a_front(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = ["0.25", "0.5"]
    app = opened(
        tracking, "leaderboard", monkeypatch, sweep="demo", parameter="network.width", values=chosen, by="cost"
    )
    assert sorted(app.dataframe[0].value["width"]) == ["0.25", "0.5", "0.5"]
    assert any("each better than all that cost less" in caption.value for caption in app.caption)
    assert app.query_params["parameter"] in ("network.width", ["network.width"])
    app.selectbox(key="cost").set_value("parameters of the deployed peer").run()
    assert app.get("vega_lite_chart") and not app.error


def test_pins_stay_on_top_of_what_is_filtered(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = named(tracking, "independent-p2-")
    app = opened(tracking, "leaderboard", monkeypatch, sweep="demo", method=["vanilla"], pins=[pin])
    assert app.dataframe[0].value["trial"].iloc[0] == "independent-p2-w1"
    assert list(app.dataframe[0].value["method"]) == ["independent", "vanilla", "vanilla"]
    assert list(app.dataframe[0].value["pin"]) == ["★", "", ""]
    app.multiselect(key="pins").set_value([]).run()
    assert list(app.dataframe[0].value["method"]) == ["vanilla", "vanilla"]
    assert all("/runs/" in link for link in app.dataframe[0].value["mlflow"])
    assert any("while `lipkd ui` runs" in caption.value for caption in app.caption)


def test_details_of_a_sweep(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five finished trials of one seed each: no interval, and too few for importance."""
    app = opened(tracking, "leaderboard", monkeypatch, sweep="demo")
    assert len(app.dataframe[1].value) == 5
    assert any("One seed each" in caption.value for caption in app.caption)
    monkeypatch.setattr("dashboard.views.leaderboard_details.setting_rows", lambda _: [INTERVAL])
    app = opened(tracking, "leaderboard", monkeypatch, sweep="demo")
    assert any("Student's t over seeds" in caption.value for caption in app.caption)
    app = opened(tracking, "leaderboard", monkeypatch, sweep="demo", details="parallel coordinates")
    assert not app.error and len(app.get("vega_lite_chart")) == 2
    app = opened(tracking, "leaderboard", monkeypatch, sweep="demo", details="importance of parameters")
    assert "5 trials have finished, and importance needs at least 8" in said(app)


def test_filters_do_not_change_colours(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart keeps every group's colour when others are filtered away."""

    def colours(app: AppTest) -> dict[str, str]:
        spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
        scale = spec["layer"][1]["encoding"]["color"]["scale"]
        return dict(zip(scale["domain"], scale["range"], strict=True))

    every = colours(opened(tracking, "leaderboard", monkeypatch, sweep="demo"))
    some = colours(opened(tracking, "leaderboard", monkeypatch, sweep="demo", method=["attention"]))
    assert set(every) == {"vanilla", "independent ×2", "attention ×2"}
    assert some == {"attention ×2": every["attention ×2"]}


def test_compare_begins_with_the_best_of_every_group_and_width(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "compare", monkeypatch, sweep="demo")
    chosen = app.multiselect(key="trials").value
    assert len(chosen) == 6
    assert chosen[0] == named(tracking, "attention-p2-w1-b4-s0")
    assert len(app.get("vega_lite_chart")) == 3  # WER, CER, against the baseline
    text = written(app)
    assert "attention ×2 against vanilla: WER 7.5 points lower" in text  # 20 points at width 1, −5 at 0.5
    assert "independent ×2 against vanilla: WER unchanged, CER unchanged" in text


def test_compare_shows_where_configurations_differ(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = [named(tracking, "vanilla-w1-"), named(tracking, "vanilla-w0.5-")]
    app = opened(tracking, "compare", monkeypatch, sweep="demo", trials=pair)
    assert app.multiselect(key="trials").value == pair
    rows = app.dataframe[-1].value.to_dict("records")
    assert rows == [{"parameter": "network.width", pair[0]: "1.0", pair[1]: "0.5"}]


def test_compare_draws_any_other_metric(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "compare", monkeypatch, sweep="demo")
    app.selectbox(key="metric").set_value("train/loss").run()
    assert len(app.get("vega_lite_chart")) == 4


def test_compare_draws_settings_and_judges_two(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best setting that has a control, against it; the reader may choose two that cannot be compared."""
    app = opened(tracking, "compare", monkeypatch, sweep="demo", of="settings")
    assert app.multiselect(key="settings").value[0] == "attention ×2, width 1, epochs 4"
    assert len(app.get("vega_lite_chart")) == 3
    assert (chosen(app, "one"), chosen(app, "other")) == ("attention ×2, width 1, epochs 4", "vanilla, width 1")
    verdicts = {metric.label: (metric.value, metric.delta) for metric in app.metric}
    assert verdicts["WER of the setting against the other"][0] == "not shown"
    assert "one seed: no interval" in verdicts["CER of the setting against the other"][1]
    assert "not shown that" in written(app) and "with one seed, from which nothing follows for other seeds" in written(
        app
    )
    app.selectbox(key="other").set_value("vanilla, width 0.5").run()
    assert "These two cannot be compared" in said(app) and "no peers of the same width" in said(app)
    assert app.query_params["other"] in ("vanilla, width 0.5", ["vanilla, width 0.5"])


def test_another_baseline(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "compare", monkeypatch, sweep="demo", baseline="independent ×2")
    assert "attention ×2 against independent ×2: WER 20.0 points lower" in written(app)


def test_replay_begins_with_the_worst_clip_of_the_best_trial(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "replay", monkeypatch, sweep="demo")
    assert app.selectbox(key="a").value == named(tracking, "attention-p2-w1-b4-s0")
    table = app.dataframe[0].value
    assert len(table) == 6
    assert list(table["wer_a"]) == sorted(table["wer_a"], reverse=True)
    assert chosen(app, "clip") == table.iloc[0]["clip"]
    assert 'data-testid="reference"' in written(app)
    assert played(app)["video"]["type"] == "video/webm"
    assert not app.warning and not app.error


def test_clips_are_filtered_by_what_was_read(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same list as from the records: clips of B that A has right; then those whose `red` was read otherwise."""
    a, b = named(tracking, "attention-p2-w1-b4-s0"), named(tracking, "vanilla-w0.5-")
    app = opened(tracking, "replay", monkeypatch, sweep="demo", a=a, b=b, show="A right, B wrong", order="by name")
    table = app.dataframe[0].value
    assert len(table) and set(table["wer_a"]) == {0.0} and (table["wer_b"] > 0).all()
    app.selectbox(key="show").set_value("all clips").run()
    app.text_input(key="find").set_value("red").run()
    assert list(app.dataframe[0].value["reference"]) == ["bin red", "set red now", "lay red"]
    assert app.query_params["find"] in ("red", ["red"])
    app.text_input(key="find").set_value("nothing of the kind").run()
    assert "No clip fits" in said(app)


def test_the_player_is_told_both_trials(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = named(tracking, "attention-p2-w1-b4-s0"), named(tracking, "vanilla-w0.5-")
    told = played(opened(tracking, "replay", monkeypatch, sweep="demo", a=a, b=b, clip="cleo/02", output_a="ensemble"))
    assert [line["label"] for line in told["lines"]] == ["reference", "A", "B"]
    assert [word["text"] for word in told["lines"][0]["words"]] == ["set", "red", "now"]
    assert [trial["title"] for trial in told["trials"]] == [f"A · {a}: ensemble", f"B · {b}: peer 0"]
    assert [len(trial["spikes"]) for trial in told["trials"]] == [2, 1]
    assert (told["frames"], told["fps"], told["mouth"]) == (25, 25.0, None)


def test_peers_of_a_cohort_on_a_clip(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offered for the cohort alone, drawn once it is unfolded: two peers, a row of KL per frame of each."""
    a, b = named(tracking, "vanilla-w0.5-"), named(tracking, "attention-p2-w1-b4-s0")
    app = opened(tracking, "replay", monkeypatch, sweep="demo", a=a, b=b, clip="cleo/02")
    assert [folded.label for folded in app.expander] == ["Peers on this clip · B"]
    assert not app.get("vega_lite_chart")
    app.session_state["peers b"] = True
    app.run()
    above, below = app.get("vega_lite_chart")
    letters, lines = (json.loads(chart.proto.spec) for chart in (above, below))
    assert letters["layer"][0]["encoding"]["y"]["scale"]["domain"] == ["peer 0", "peer 1"]
    (nats,) = [each.data.data for each in below.proto.datasets if each.name == lines["data"]["name"]]
    assert pa.ipc.open_stream(nats).read_all().num_rows == 2 * 25


def test_a_random_clip_is_another_one(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "replay", monkeypatch, sweep="demo", clip="cleo/02")
    next(button for button in app.button if button.label == "Random").click().run()
    assert chosen(app, "clip") != "cleo/02"


def test_replay_steps_along_the_list(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "replay", monkeypatch, sweep="demo", order="by name")
    seen = [chosen(app, "clip")]
    for label in ("Next", "Next", "Previous", "Previous", "Previous"):
        next(button for button in app.button if button.label == label).click().run()
        seen.append(chosen(app, "clip"))
    assert [clip.removeprefix("cleo/0") for clip in seen] == ["0", "1", "2", "1", "0", "5"]


def test_a_link_restores_the_replay(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = named(tracking, "vanilla-w1-"), named(tracking, "attention-p2-w0.5-")
    app = opened(
        tracking, "replay", monkeypatch, sweep="demo", a=a, b=b, clip="cleo/02", order="by name", output_b="ensemble"
    )
    assert (app.selectbox(key="a").value, app.selectbox(key="b").value) == (a, b)
    assert chosen(app, "clip") == "cleo/02"
    assert app.radio(key="output_b").value == "ensemble"
    table = written(app)
    assert "set red now" in table
    assert all(who in table for who in ("A · peer 0", "B · peer 0", "B · peer 1", "B · ensemble"))


def test_a_link_to_what_is_not_there_shows_what_is(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "replay", monkeypatch, sweep="../../etc", a="<script>", clip="../../etc/passwd")
    assert app.selectbox(key="sweep").value == "later"
    assert chosen(app, "clip").startswith("cleo/")
    assert not app.error


def test_a_filter_that_hides_the_clip_chooses_another(
    mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    val = [clip for clip in tiny_store.clips if clip.speaker in ("ben", "cleo")]
    uri = track_sweep(mlruns, "two speakers", tiny_store, val, PLAN[:1])
    app = opened(uri, "replay", monkeypatch, clip="cleo/03")
    app.multiselect(key="speakers").set_value(["ben"]).run()
    assert not app.exception and not app.error
    assert chosen(app, "clip").startswith("ben/")
    assert len(app.dataframe[0].value) == 6
