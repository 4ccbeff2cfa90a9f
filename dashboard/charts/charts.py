"""Figures of the pages: records in, rows in between (tested), Altair out.

Colours say the group (method and peers), the same on every page of a sweep: vanilla is grey, what it is
measured against has colours that differ for colour-blind readers and stand on white and on black.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.analysis.matched_pairs import Gain, groups
from dashboard.analysis.series import Series, series_of
from dashboard.charts import legend
from dashboard.charts.contrast import blended, readable_on
from dashboard.errors.confusions import VISEME_OF, Confusion
from dashboard.tracking.records import Curve, Trial

VANILLA = "#858b94"
COLOURS = ("#2f7ed8", "#dd6b20", "#1f9e78", "#9b6fd4", "#d1508a", "#a08a16", "#2aa5c0", "#b5563f")
TOUCHED_EPOCHS = 60  # about, of a curve
MOST_ELEMENTS = 200  # marks of a chart that are elements of the page
LIGHT_GROUND, DARK_GROUND = "#ffffff", "#15181c"  # of a page, as in .streamlit/config.toml
FAINTEST = 0.15  # how much of its ground the cell of the rarest confusion covers, at least
MOST_TICKS = 8  # of an axis, about
FROM_ZERO = alt.Scale(zero=True, nice=True, domainMin=0)  # of a rate or a cost: there is nothing below


def group_colours(trials: Sequence[Trial]) -> dict[str, str]:
    """The colour of every group of a sweep; give all of its trials, so that filters don't change colours."""
    names = groups(trials)
    others = [name for name in names if name != "vanilla"]
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(others)} | {"vanilla": VANILLA}
    return {name: colour[name] for name in names}


def by_group(data: pd.DataFrame, colours: Mapping[str, str], symbol: str) -> alt.Color:
    """Colour says the group; only the groups that are drawn are in the legend."""
    drawn = set(data["group"].unique())
    there = [name for name in colours if name in drawn]
    scale = alt.Scale(domain=there, range=[colours[name] for name in there])
    # As many beside each other as there is room for: Vega does not break a legend, and a phone would cut it off.
    wide = 40 + 7 * max(map(len, there), default=0)
    columns = alt.ExprRef(f"max(1, floor(width / {wide}))")
    beside = alt.Legend(title=None, orient="top", symbolType=symbol, symbolOpacity=1, columns=columns)
    return alt.Color("group:N", scale=scale, legend=beside)


def tooltips(*fields: str, **arguments: Any) -> list[alt.Tooltip]:
    """The fields of a tooltip. Altair takes a bare name as well, but looks through all of its classes for it: 5 ms."""
    return [alt.Tooltip(field, **arguments) for field in fields]


def curve_rows(trials: Sequence[Trial], curves: Sequence[Curve], factor: float) -> list[dict[str, Any]]:
    """A row per epoch and trial; `value` is multiplied by `factor`, `best` marks the trial's best epoch."""
    by_id, series = {trial.run_id: trial for trial in trials}, series_of(trials)
    return [
        {
            "trial": by_id[curve.run_id].name,
            "group": by_id[curve.run_id].group,
            "variant": series[curve.run_id].variant,
            "series": series[curve.run_id].label,
            "epoch": step,
            "value": factor * value,
            "best": step == by_id[curve.run_id].best_epoch,
        }
        for curve in curves
        for step, value in zip(curve.steps, curve.values, strict=True)
    ]


def learning_curves(
    rows: Sequence[dict[str, Any]], colours: Mapping[str, str], title: str, height: int = 390
) -> alt.LayerChart:
    """Lines over epochs: colour says the group, dashes what else varies but the seed, a dot the best epoch."""
    data = pd.DataFrame(rows, columns=["trial", "group", "variant", "series", "epoch", "value", "best"])
    look = legend.encodings(rows, colours, "dashes")
    base = alt.Chart(data).encode(
        x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, grid=False)),
        y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=True)),
        color=look["color"],
        detail=alt.Detail("trial:N"),
        tooltip=[*tooltips("trial", "series", "epoch"), alt.Tooltip("value:Q", title=title, format=".2f")],
    )
    lines = base.mark_line(strokeWidth=1.8).encode(**{name: look[name] for name in look if name != "color"})
    touch = base.transform_filter(touched(data)).mark_point(size=50, opacity=0)
    best = base.transform_filter("datum.best").mark_point(size=70, filled=True, opacity=1)
    return layered(lines, touch, best, marks=len(rows), height=height)


def touched(data: pd.DataFrame) -> str:
    """Which rows of a table with `epoch` a pointer can touch: all, or of long curves those that lie a few pixels apart,
    because each costs as much to draw as a point that is seen."""
    return f"datum.epoch % {max(1, data['epoch'].nunique() // TOUCHED_EPOCHS)} == 0"


SETTING = "setting"
GROUPINGS: dict[str, Callable[[Trial, Series], str]] = {
    SETTING: lambda _, series: series.label,
    "method": lambda t, _: t.group,
    "width": lambda t, _: f"width {t.width}",
    "peers": lambda t, _: f"{t.peers} peer{'s' if t.peers > 1 else ''}",
    "batch size": lambda t, _: f"batch {t.batch_size}",
    "seed": lambda t, _: f"seed {t.seed}",
    "sweep": lambda t, _: t.sweep,
}


def groupings(trials: Sequence[Trial]) -> list[str]:
    """The keys of GROUPINGS that divide these trials, and the setting in any case."""
    series = series_of(trials)
    divided = [name for name, of in GROUPINGS.items() if len({of(t, series[t.run_id]) for t in trials}) > 1]
    return [SETTING, *(name for name in divided if name != SETTING)]


def rate_rows(trials: Sequence[Trial], by: str) -> list[dict[str, Any]]:
    """A row per trial with a result: its best rates in percent, and its value of a key of GROUPINGS."""
    trials = [trial for trial in trials if trial.best_wer is not None]
    series = series_of(trials)
    return [
        {
            "trial": t.name,
            "group": t.group,
            "by": GROUPINGS[by](t, series[t.run_id]),
            "state": t.state,
            "WER": 100 * (t.best_wer or 0.0),
            "CER": 100 * (t.best_cer or 0.0),
        }
        for t in trials
    ]


def rate_dots(rows: Sequence[dict[str, Any]], colours: Mapping[str, str], rate: str) -> alt.LayerChart:
    """A dot per trial, pale while it is not finished; a tick at each row's mean, the lowest first."""
    data = pd.DataFrame(rows)
    order = list(data.groupby("by")[rate].mean().sort_values().index)
    y = alt.Y("by:N", title=None, sort=order, axis=alt.Axis(labelLimit=260, grid=True))
    x = alt.X(f"{rate}:Q", title=f"best {rate}, %", scale=FROM_ZERO)
    dots = (
        alt.Chart(data)
        .mark_circle(size=95)
        .encode(
            x=x,
            y=y,
            color=by_group(data, colours, "circle"),
            opacity=alt.condition("datum.state == 'finished'", alt.value(0.9), alt.value(0.4)),
            tooltip=[*tooltips("trial", "state"), *tooltips("WER:Q", "CER:Q", format=".1f")],
        )
    )
    means = (
        alt.Chart(data)
        .mark_tick(thickness=2, size=22, color="#858b94")
        .encode(x=alt.X(f"mean({rate}):Q"), y=y, tooltip=[alt.Tooltip(f"mean({rate}):Q", title="mean", format=".1f")])
    )
    return layered(means, dots, marks=len(rows), height=alt.Step(34))


def layered(*charts: alt.Chart, marks: int, **more: Any) -> alt.LayerChart:
    """Charts over one another, in one go: Altair copies all of a chart for everything that is added to it.

    Many marks are painted: as an element each, with a description, they hold the browser up.
    """
    if marks > MOST_ELEMENTS:
        more["config"] = alt.Config(mark=alt.MarkConfig(aria=False))
        more["usermeta"] = {"embedOptions": {"renderer": "canvas"}}
    return alt.LayerChart(layer=charts, **more)


def gain_rows(found: Sequence[Gain], baseline: str) -> list[dict[str, Any]]:
    """Two rows per gain, the baseline's rates and the group's, in percent."""
    rows = []
    for gain in found:
        where = f"width {gain.width}, batch {gain.batch_size}"
        pairs = [(baseline, gain.baseline_wer, gain.baseline_cer), (gain.group, gain.wer, gain.cer)]
        rows += [
            {"where": where, "group": g, "against": gain.group, "WER": 100 * w, "CER": 100 * c} for g, w, c in pairs
        ]
    return rows


def gain_dumbbells(rows: Sequence[dict[str, Any]], colours: Mapping[str, str], rate: str) -> alt.LayerChart:
    """At every width and batch size the baseline and the group beside it, joined by a line."""
    data = pd.DataFrame(rows)
    data["row"] = data["where"] + data["against"].map(
        lambda group: f" · {group}" if data["against"].nunique() > 1 else ""
    )
    base = alt.Chart(data).encode(
        x=alt.X(f"{rate}:Q", title=f"best {rate}, %", scale=FROM_ZERO),
        y=alt.Y("row:N", title=None, sort=list(data["row"].unique()), axis=alt.Axis(labelLimit=260)),
    )
    joined = base.mark_line(color="#858b94", strokeWidth=2, opacity=0.6).encode(detail=alt.Detail("row:N"))
    dots = base.mark_circle(size=130, opacity=1).encode(
        color=by_group(data, colours, "circle"),
        tooltip=tooltips("where", "group") + tooltips(f"{rate}:Q", format=".1f"),
    )
    return layered(joined, dots, marks=len(rows), height=alt.Step(34))


def confusion_map(confusions: Sequence[Confusion], *, dark: bool) -> alt.LayerChart:
    """Reference down, hypothesis across, a cell per confusion with its count; visemes lie beside each other. A cell can
    be chosen (the selection is called `cell`)."""
    most = max(c.count for c in confusions)
    rows = []
    for c in confusions:
        cover = FAINTEST + (1 - FAINTEST) * math.sqrt(c.count / most)
        ink = readable_on(blended(COLOURS[0], DARK_GROUND if dark else LIGHT_GROUND, cover))
        rows.append(
            {"reference": c.reference, "hypothesis": c.hypothesis, "count": c.count, "cover": cover, "ink": ink}
        )
    data = pd.DataFrame(rows)
    order = {letter: place for place, letter in enumerate([*dict.fromkeys(VISEME_OF.values()), *VISEME_OF])}
    names = sorted({*data["reference"], *data["hypothesis"]}, key=lambda name: (order.get(name, len(order)), name))
    chosen = alt.selection_point(name="cell", fields=["reference", "hypothesis"])
    # Vega-Lite would draw the grid over cells, and so through their counts; Streamlit would move the first labels.
    axis = alt.Axis(
        labelAngle=0,
        labelFlush=False,
        labelOverlap=False,
        ticks=False,
        domain=False,
        grid=True,
        gridOpacity=0.35,
        zindex=0,
    )
    base = alt.Chart(data).encode(
        x=alt.X("hypothesis:N", title="hypothesis", sort=names, scale=alt.Scale(domain=names), axis=axis),
        y=alt.Y("reference:N", title="reference", sort=names, scale=alt.Scale(domain=names), axis=axis),
        tooltip=["reference", "hypothesis", "count"],
    )
    cells = base.mark_rect(cursor="pointer", cornerRadius=2, fill=COLOURS[0]).encode(
        opacity=alt.Opacity("cover:Q", scale=None, legend=None)
    )
    counts = base.mark_text(fontSize=11).encode(text="count:Q", color=alt.Color("ink:N", scale=None, legend=None))
    chart: alt.LayerChart = (cells.add_params(chosen) + counts).properties(height=alt.Step(19))
    return chart


def cost_front(rows: Sequence[dict[str, Any]], colours: Mapping[str, str], cost: str) -> alt.LayerChart:
    """A dot per trial, WER against cost; a line along the trials that none beats on both."""
    data = pd.DataFrame(rows)
    number = "~s" if data["cost"].max() >= 100_000 else "~r"
    base = alt.Chart(data).encode(
        x=alt.X("cost:Q", title=cost, scale=FROM_ZERO, axis=alt.Axis(format=number, tickCount=MOST_TICKS)),
        y=alt.Y("WER:Q", title="best WER, %", scale=FROM_ZERO),
        tooltip=[
            "trial",
            "series",
            alt.Tooltip("cost:Q", title=cost, format=f".3{number}"),
            alt.Tooltip("WER:Q", format=".1f"),
        ],
    )
    line = base.transform_filter("datum.front").mark_line(color="#858b94", interpolate="step-after", strokeDash=[4, 3])
    dots = base.mark_point(size=95, filled=True).encode(
        opacity=alt.condition("datum.front", alt.value(1.0), alt.value(0.45)),
        **legend.encodings(rows, colours, "shapes"),
    )
    return layered(line, dots, marks=len(rows), height=340)
