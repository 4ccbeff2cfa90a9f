"""Contrasts worked out by hand, and the counts in the map of confusions."""

import tomllib
from pathlib import Path

import pytest

from dashboard.charts import charts
from dashboard.charts.contrast import blended, contrast, readable_on
from dashboard.errors.confusions import Confusion


def test_contrast_by_hand() -> None:
    """Black has the luminance 0 and white 1: 1.05 over 0.05. Half a grey (#808080) has 0.2159: 0.2659 over 0.05."""
    assert contrast("#000000", "#ffffff") == contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#808080", "#808080") == 1
    assert contrast("#808080", "#000000") == pytest.approx(5.318, abs=1e-3)
    assert readable_on("#808080") == "#000000" and readable_on("#606060") == "#ffffff"


def test_paint_over_a_ground() -> None:
    """A quarter of #2f7ed8 over white: 255 - (255 - 47) / 4 = 203, 255 - 129 / 4 = 222.75, 255 - 39 / 4 = 245.25."""
    assert blended("#2f7ed8", "#ffffff", 0.25) == "#cbdff5"
    assert blended("#2f7ed8", "#ffffff", 1) == "#2f7ed8" and blended("#2f7ed8", "#15181c", 0) == "#15181c"


@pytest.mark.parametrize(("dark", "theme"), [(False, "light"), (True, "dark")])
def test_every_count_can_be_read_on_its_cell(dark: bool, theme: str) -> None:
    config = tomllib.loads((Path(charts.__file__).parents[1] / ".streamlit" / "config.toml").read_text())
    ground = config["theme"][theme]["backgroundColor"]
    chart = charts.confusion_map([Confusion("p", chr(97 + n), n) for n in range(1, 26)], dark=dark)
    rows = next(iter(chart.to_dict()["datasets"].values()))
    assert [row["count"] for row in rows] == list(range(1, 26))
    assert all(contrast(row["ink"], blended(charts.COLOURS[0], ground, row["cover"])) >= 4.5 for row in rows)
    assert rows[-1]["cover"] == 1 and rows[3]["cover"] == pytest.approx(0.15 + 0.85 * 2 / 5)


def test_no_line_of_the_grid_goes_through_a_count() -> None:
    spec = charts.confusion_map([Confusion("p", "b", 1)], dark=False).to_dict()
    axes = [layer["encoding"][side]["axis"] for layer in spec["layer"] for side in "xy"]
    assert axes and all(axis["grid"] and axis["zindex"] == 0 for axis in axes)
