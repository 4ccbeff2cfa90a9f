"""Rows behind the figures; the figures themselves only have to be valid Vega-Lite."""

import dataclasses

import pytest

from dashboard.analysis.importance import parallel_rows
from dashboard.analysis.matched_pairs import gains
from dashboard.analysis.seed_groups import band_rows, setting_rows, settings
from dashboard.analysis.tradeoff import cost_rows
from dashboard.charts import charts, seed_group_charts
from dashboard.tracking.records import Curve
from tests.dashboard.analysis.test_matched_pairs import trial

TRIALS = [trial("vanilla", 1, 0.5), trial("attention", 2, 0.4), trial("attention", 2, 0.45, width="0.5")]
COLOURS = charts.group_colours(TRIALS)


def test_vanilla_is_grey_and_colours_do_not_depend_on_filters() -> None:
    assert {"vanilla": charts.VANILLA, "attention ×2": charts.COLOURS[0]} == COLOURS


def test_curves_in_percent_with_the_best_epoch_marked() -> None:
    """The trial's best epoch is 3."""
    curve = Curve(TRIALS[0].run_id, "val/wer", (2, 3), (0.6, 0.5))
    assert charts.curve_rows(TRIALS, [curve], 100) == [
        {"trial": TRIALS[0].name, "group": "vanilla", "width": "1", "epoch": 2, "value": 60.0, "best": False},
        {"trial": TRIALS[0].name, "group": "vanilla", "width": "1", "epoch": 3, "value": 50.0, "best": True},
    ]


def test_long_curves_are_painted_and_touched_every_few_pixels() -> None:
    """300 epochs are about five for each of 60 places; a short curve is touched everywhere, as elements."""
    for epochs, every, painted in ((300, 5, True), (40, 1, False)):
        steps = tuple(range(1, epochs + 1))
        rows = charts.curve_rows(TRIALS, [Curve(TRIALS[0].run_id, "val/wer", steps, (0.5,) * epochs)], 100)
        chart = charts.learning_curves(rows, COLOURS, "WER, %").to_dict()
        assert [layer["transform"][0]["filter"] for layer in chart["layer"] if "transform" in layer] == [
            f"datum.epoch % {every} == 0",
            "datum.best",
        ]
        assert (chart.get("usermeta") == {"embedOptions": {"renderer": "canvas"}}) == painted


@pytest.mark.parametrize("by", list(charts.GROUPINGS))
def test_dots_for_every_grouping(by: str) -> None:
    rows = charts.rate_rows(TRIALS, by)
    assert [row["WER"] for row in rows] == [50.0, 40.0, 45.0]
    assert charts.rate_dots(rows, COLOURS, "WER").to_dict()["layer"]


def test_grouping_by_width_joins_methods() -> None:
    assert [row["by"] for row in charts.rate_rows(TRIALS, "width")] == ["width 1", "width 1", "width 0.5"]


def test_a_gain_is_two_dots() -> None:
    rows = charts.gain_rows(gains(TRIALS, "vanilla"), "vanilla")
    assert [(row["where"], row["group"], row["WER"]) for row in rows] == [
        ("width 1, batch 8", "vanilla", 50.0),
        ("width 1, batch 8", "attention ×2", 40.0),
    ]
    assert charts.gain_dumbbells(rows, COLOURS, "CER").to_dict()["layer"]


def test_learning_curves_of_one_and_of_two_widths() -> None:
    curves = [Curve(t.run_id, "val/wer", (1, 2), (1.0, 0.5)) for t in TRIALS]
    one = charts.learning_curves(charts.curve_rows(TRIALS, curves[:2], 100), COLOURS, "WER, %").to_dict()
    two = charts.learning_curves(charts.curve_rows(TRIALS, curves, 100), COLOURS, "WER, %").to_dict()
    assert "field" not in one["layer"][0]["encoding"]["strokeDash"]
    assert two["layer"][0]["encoding"]["strokeDash"]["field"] == "width"


def test_the_front_holds_what_none_beats_on_both_scales() -> None:
    """1, 2 and 4 units of width for 50, 45 and 40 %; one of 2 units and 60 % is beaten, one without a result absent."""
    trials = [
        trial("dml", 2, 0.4, width="2"),
        trial("dml", 2, 0.6, width="1", seed=1),
        trial("vanilla", 1, 0.5),
        trial("attention", 2, 0.45),
    ]
    rows = cost_rows(trials, "width × peers")
    assert [(row["cost"], round(row["WER"]), row["front"]) for row in rows] == [
        (1, 50, True),
        (2, 45, True),
        (2, 60, False),
        (4, 40, True),
    ]
    assert charts.cost_front(rows, charts.group_colours(trials), "width × peers").to_dict()["layer"]
    assert cost_rows(trials, "memory, MB") == []


def test_a_trial_that_runs_has_no_cost_yet() -> None:
    """It has cost the least so far, and says nothing of what is cheaper in the end."""
    running = dataclasses.replace(trial("dml", 2, 0.2, width="0.5"), state="running")
    rows = cost_rows([running, trial("vanilla", 1, 0.5, width="4")], "width × peers")
    assert [(row["cost"], row["front"]) for row in rows] == [(4, True)]


def test_a_legend_has_as_many_columns_as_there_is_room_for() -> None:
    """The longest of the names that are drawn, `attention ×2`, has 12 letters of 7 pixels, and a symbol of 40."""
    rows = charts.rate_rows([trial("vanilla", 1, 0.5), trial("attention", 2, 0.4)], "method")
    drawn = charts.rate_dots(
        rows, {"vanilla": "grey", "attention ×2": "blue", "independent ×2": "red"}, "WER"
    ).to_dict()
    (legend,) = [layer["encoding"]["color"]["legend"] for layer in drawn["layer"] if "color" in layer["encoding"]]
    assert legend["columns"] == {"expr": "max(1, floor(width / 124))"}


def test_a_band_for_every_setting() -> None:
    (setting,) = settings([trial("attention", 2, 0.4), trial("attention", 2, 0.5, seed=1)])
    curves = [Curve(t.run_id, "val/wer", (1, 2), (1.0, wer)) for t, wer in zip(setting.trials, (0.4, 0.5), strict=True)]
    drawn = seed_group_charts.seed_bands(band_rows(setting, curves, 100), COLOURS, "WER, %").to_dict()
    assert [layer["mark"]["type"] for layer in drawn["layer"]] == ["area", "line", "point"]


def test_settings_and_parameters_as_figures() -> None:
    rows = setting_rows(settings([*TRIALS, trial("attention", 2, 0.5, seed=1)]))
    assert seed_group_charts.setting_intervals(rows).to_dict()["layer"]
    assert seed_group_charts.parallel(parallel_rows(TRIALS), COLOURS, dark=True).to_dict()["layer"]
