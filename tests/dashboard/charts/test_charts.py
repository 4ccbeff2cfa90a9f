"""Rows behind the figures; the figures themselves only have to be valid Vega-Lite."""

import dataclasses

import pytest

from dashboard.analysis.importance import parallel_rows
from dashboard.analysis.matched_pairs import gains
from dashboard.analysis.seed_groups import band_rows, setting_rows, settings
from dashboard.analysis.tradeoff import cost_rows
from dashboard.charts import charts, legend, seed_group_charts
from dashboard.tracking.records import Curve
from tests.dashboard.analysis.test_matched_pairs import trial

TRIALS = [trial("vanilla", 1, 0.5), trial("attention", 2, 0.4), trial("attention", 2, 0.45, width="0.5")]
COLOURS = charts.group_colours(TRIALS)
NAMED = {"trial": TRIALS[0].name, "group": "vanilla", "variant": "width 1", "series": "vanilla, width 1"}


def test_vanilla_is_grey_and_colours_do_not_depend_on_filters() -> None:
    assert {"vanilla": charts.VANILLA, "attention ×2": charts.COLOURS[0]} == COLOURS


def test_curves_in_percent_with_the_best_epoch_marked() -> None:
    """The trial's best epoch is 3."""
    curve = Curve(TRIALS[0].run_id, "val/wer", (2, 3), (0.6, 0.5))
    assert charts.curve_rows(TRIALS, [curve], 100) == [
        NAMED | {"epoch": 2, "value": 60.0, "best": False},
        NAMED | {"epoch": 3, "value": 50.0, "best": True},
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
    assert all("strokeDash" not in layer["encoding"] for layer in one["layer"])
    colour, dash = (two["layer"][0]["encoding"][name] for name in ("color", "strokeDash"))
    assert colour["field"] == dash["field"] == "series" and colour["scale"]["domain"] == dash["scale"]["domain"]
    assert colour["scale"]["domain"] == ["vanilla, width 1", "attention ×2, width 1", "attention ×2, width 0.5"]
    assert colour["scale"]["range"] == [COLOURS["vanilla"], *[COLOURS["attention ×2"]] * 2]
    assert dash["scale"]["range"] == [legend.DASHES[0], legend.DASHES[0], legend.DASHES[1]]


def test_lines_that_differ_in_anything_but_the_seed_look_different() -> None:
    """Four trials of one method at one width: two batch sizes, two seeds each."""
    trials = [
        dataclasses.replace(trial("dml", 2, 0.4, seed=s), batch_size=b, run_id=f"{s}{b}")
        for s in (0, 1)
        for b in (4, 8)
    ]
    curves = [Curve(t.run_id, "val/wer", (1, 2), (1.0, 0.5)) for t in trials]
    drawn = charts.learning_curves(charts.curve_rows(trials, curves, 100), charts.group_colours(trials), "WER, %")
    encoding = drawn.to_dict()["layer"][0]["encoding"]
    assert encoding["strokeDash"]["scale"]["domain"] == ["dml ×2, batch size 4", "dml ×2, batch size 8"]
    assert len({str(dash) for dash in encoding["strokeDash"]["scale"]["range"]}) == 2


def test_too_many_settings_for_a_legend_leave_the_groups() -> None:
    trials = [trial("dml", 2, 0.4, rate=str(number)) for number in range(legend.MOST_SERIES + 1)]
    curves = [Curve(t.run_id, "val/wer", (1, 2), (1.0, 0.5)) for t in trials]
    drawn = charts.learning_curves(charts.curve_rows(trials, curves, 100), charts.group_colours(trials), "WER, %")
    assert [layer["encoding"]["color"]["field"] for layer in drawn.to_dict()["layer"]] == ["group"] * 3


def test_many_settings_of_few_variants_have_groups_and_variants_in_the_legend() -> None:
    """Seven groups at two widths are 14 settings, and nine entries."""
    rows = [
        {"group": group, "variant": variant, "series": f"{group}, {variant}"}
        for group in "abcdefg"
        for variant in ("width 1", "width 0.5")
    ]
    colours = dict.fromkeys("abcdefg", "#111111")
    assert [entry.label for entry in legend.entries(rows, colours)] == [*"abcdefg", "width 1", "width 0.5"]
    made = {name: channel.to_dict() for name, channel in legend.encodings(rows, colours, "shapes").items()}
    assert (made["color"]["field"], made["shape"]["field"]) == ("group", "variant")
    assert made["shape"]["scale"]["range"] == ["circle", "square"]


def test_one_legend_says_what_the_charts_show_and_escapes_names() -> None:
    rows = [
        {"group": "<b>", "variant": "width 1", "series": "<b>, width 1"},
        {"group": "dml ×2", "variant": "x", "series": "dml ×2, x"},
    ]
    colours = {"dml ×2": "#111111", "<b>": "#222222"}
    assert legend.entries(rows, colours) == [
        legend.Entry("series", "dml ×2, x", "#111111", 0),
        legend.Entry("series", "<b>, width 1", "#222222", 1),
    ]
    dashes, shapes = legend.legend_html(rows, colours, "dashes"), legend.legend_html(rows, colours, "shapes")
    assert "#111111 0px 1px" in dashes and "#222222 0px 6px,transparent 6px 9px" in dashes
    assert '<span style="color:#111111">●</span> dml ×2, x' in shapes
    assert "<b>" not in dashes + shapes and "&lt;b&gt;, width 1" in shapes
    assert "</span>" not in legend.legend_html([], colours, "dashes")


def test_rates_and_costs_begin_at_zero() -> None:
    """With the best trial at 0 % nothing is drawn below."""
    perfect = trial("vanilla", 1, 0.0)
    dots = charts.rate_dots(charts.rate_rows([perfect], "setting"), charts.group_colours([perfect]), "WER")
    front = charts.cost_front(cost_rows([perfect], "width × peers"), charts.group_colours([perfect]), "width × peers")
    for chart, axes in ((dots, "x"), (front, "xy")):
        drawn = [layer["encoding"][axis] for layer in chart.to_dict()["layer"] for axis in axes]
        scales = [axis["scale"] for axis in drawn if "scale" in axis]
        assert scales and all(scale["domainMin"] == 0 and "padding" not in scale for scale in scales)


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
