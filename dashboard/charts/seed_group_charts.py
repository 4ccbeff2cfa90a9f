"""Figures of settings and of many parameters at once: rows in, Altair out."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts import legend
from dashboard.charts.charts import COLOURS, by_group, layered, tooltips, touched

INSIDE = alt.Scale(zero=True, nice=True, domainMin=0, clamp=True)  # an interval may reach below 0, a rate cannot


def seed_bands(rows: Sequence[dict[str, Any]], colours: Mapping[str, str], title: str) -> alt.LayerChart:
    """A line per setting, the mean of its seeds over epochs, in a band from the lowest seed to the highest."""
    data = pd.DataFrame(rows)
    data["series"] = data["setting"]
    look = legend.encodings(with_series(rows), colours, "dashes")
    base = alt.Chart(data).encode(
        x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, grid=False)),
        color=look["color"],
        detail=alt.Detail("setting:N"),
    )
    tooltip = tooltips("setting", "epoch", "trials") + tooltips("mean:Q", "low:Q", "high:Q", format=".2f")
    y = alt.Y("mean:Q", title=title, scale=alt.Scale(zero=True))
    line = base.mark_line(strokeWidth=2).encode(y=y, **{name: look[name] for name in look if name != "color"})
    band = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", title=title), y2=alt.Y2("high:Q"))
    touch = base.transform_filter(touched(data)).mark_point(size=50, opacity=0).encode(y=y, tooltip=tooltip)
    return layered(band, line, touch, marks=len(rows), height=390)


def with_series(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of settings with what a legend wants of them: the setting is the series, all but its group the variant."""
    return [
        row | {"series": row["setting"], "variant": row["setting"].removeprefix(f"{row['group']}, ")} for row in rows
    ]


def setting_intervals(rows: Sequence[dict[str, Any]]) -> alt.LayerChart:
    """Per setting its mean best WER with the 95 % interval over seeds; `rows` are those of settings.setting_rows."""
    data = pd.DataFrame(rows)
    for name in ("wer", "low", "high"):
        data[name] = 100 * data[name].astype(float)
    tooltip = tooltips("setting", "seeds") + tooltips("wer:Q", "low:Q", "high:Q", format=".1f")
    x = alt.X("wer:Q", title="best WER, %", scale=INSIDE)
    y = alt.Y("setting:N", title=None, sort=list(data["setting"]), axis=alt.Axis(labelLimit=320, grid=True))
    base = alt.Chart(data).encode(y=y, tooltip=tooltip)
    spans = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, color="#858b94")
    dots = base.mark_circle(size=110, opacity=1, color=COLOURS[0]).encode(x=x)
    return (spans.encode(x=alt.X("low:Q", title="best WER, %"), x2=alt.X2("high:Q")) + dots).properties(
        height=alt.Step(30)
    )


def parallel(rows: Sequence[dict[str, Any]], colours: Mapping[str, str], *, dark: bool) -> alt.LayerChart:
    """A line per trial across the axes of importance.parallel_rows; the one under the pointer stands out."""
    data = pd.DataFrame(rows)
    axes = list(dict.fromkeys(data["axis"]))
    near = alt.selection_point(fields=["trial"], on="pointerover", clear="pointerout", nearest=True, empty=False)
    x = alt.X("axis:N", title=None, sort=axes, scale=alt.Scale(padding=0.35), axis=alt.Axis(labelAngle=-12, grid=True))
    y = alt.Y("place:Q", title=None, axis=None)
    base = alt.Chart(data).encode(x=x, y=y, detail="trial:N", color=by_group(data, colours, "stroke"))
    lines = base.mark_line(strokeWidth=1.6).encode(
        opacity=alt.condition(near, alt.value(1.0), alt.value(0.4)),
        strokeWidth=alt.condition(near, alt.value(4.0), alt.value(1.6)),
    )
    dots = base.mark_circle(size=60, opacity=0.8).encode(tooltip=["trial", "axis", "value"]).add_params(near)
    ticks = data.drop_duplicates(["axis", "value"])[["axis", "value", "place"]]
    ticks = ticks[ticks.groupby("axis")["value"].transform("size") <= 8]
    base = alt.Chart(ticks).encode(x=x, y=y, text="value")
    ink, paper = ("#d5d9df", "#15181c") if dark else ("#3c434b", "#ffffff")
    behind = base.mark_text(align="left", dx=8, fontSize=11, fill=paper, stroke=paper, strokeWidth=4, opacity=0.8)
    words = base.mark_text(align="left", dx=8, fontSize=11, color=ink)
    return (lines + dots + behind + words).properties(height=360)


def importance_bars(rows: Sequence[dict[str, Any]], *, dark: bool) -> alt.LayerChart:
    """A bar per parameter: `parameter` and `share` in percent, which stands beside it."""
    room = alt.Scale(domain=[0, 1.2 * max(row["share"] for row in rows)])  # for the text of the longest bar
    x = alt.X("share:Q", title="share of the WER's variance, %", scale=room)
    y = alt.Y("parameter:N", title=None, sort=None, axis=alt.Axis(labelLimit=420))
    tooltip = tooltips("parameter", "values") + tooltips("share:Q", format=".1f")
    data = pd.DataFrame(rows)
    data["label"] = [f"{share:.1f} %" for share in data["share"]]
    base = alt.Chart(data).encode(x=x, y=y, tooltip=tooltip)
    bars = base.mark_bar(color=COLOURS[0], cornerRadiusEnd=3)
    beside = base.mark_text(align="left", dx=5, color="#d5d9df" if dark else "#3c434b").encode(text="label:N")
    return (bars + beside).properties(height=alt.Step(30))
