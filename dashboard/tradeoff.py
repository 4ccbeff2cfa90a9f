"""What reading well costs: error rate against the size of the network that would be deployed."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

import altair as alt
import pandas as pd

from dashboard.records import Trial
from lipkd.config import parse_config
from lipkd.cost import Cost, peer_costs
from lipkd.errors import LipkdError

Picture = tuple[int, int, int]
NEEDED = ("network.name", "network.width", "cohort.peers", "cohort.widths", "data.crop", "data.alphabet")


def trial_cost(trial: Trial, picture: Picture) -> Cost | None:
    """What one peer of a trial costs, picture (height, width, channels) being its store's.

    None where peers differ in width, because a trial's rates are means over them, or where its parameters do not say.
    """
    content: dict[str, dict[str, Any]] = {"data": {"store": trial.store or "unknown"}}
    try:
        for key in NEEDED:
            section, _, field = key.partition(".")
            text = trial.config[key]
            value = text if key in ("network.name", "data.alphabet") else json.loads(text)
            content.setdefault(section, {})[field] = value
        costs = set(peer_costs(parse_config(content), picture))
    except (KeyError, ValueError, LipkdError):
        return None
    return costs.pop() if len(costs) == 1 else None


def tradeoff_rows(trials: Sequence[Trial], picture_of: Callable[[Trial], Picture | None]) -> list[dict[str, Any]]:
    """A row per group and network, smallest first: means of the best rates (percent) over its finished trials.

    `picture_of` says how large the pictures of a trial's store are, None when it is not there.
    """
    found: dict[tuple[str, str, Cost], list[Trial]] = defaultdict(list)
    for trial in trials:
        picture = picture_of(trial) if trial.state == "finished" and trial.best_wer is not None else None
        if picture and (cost := trial_cost(trial, picture)):
            found[trial.group, trial.width, cost].append(trial)
    rows = [
        {
            "group": group,
            "width": width,
            "parameters": cost.parameters,
            "multiply_adds": cost.multiply_adds,
            "WER": 100 * fmean(t.best_wer or 0.0 for t in those),
            "CER": 100 * fmean(t.best_cer or 0.0 for t in those),
            "trials": len(those),
        }
        for (group, width, cost), those in found.items()
    ]
    return sorted(rows, key=lambda row: (row["multiply_adds"], row["group"]))


def tradeoff_chart(
    rows: Sequence[dict[str, Any]], colours: Mapping[str, str], rate: str, *, by: str = "multiply_adds"
) -> alt.LayerChart:
    """A line per group from its narrowest to its widest network; `by` is multiply_adds or parameters."""
    title = {"multiply_adds": "multiply-adds per second of video", "parameters": "parameters"}[by]
    data = pd.DataFrame(rows)
    there = [name for name in colours if name in set(data["group"])]
    base = alt.Chart(data).encode(
        x=alt.X(
            f"{by}:Q",
            title=title,
            scale=alt.Scale(type="log", nice=False, padding=24),
            axis=alt.Axis(format="~s", grid=False),
        ),
        y=alt.Y(f"{rate}:Q", title=f"best {rate}, %", scale=alt.Scale(zero=True)),
        color=alt.Color(
            "group:N",
            scale=alt.Scale(domain=there, range=[colours[name] for name in there]),
            legend=alt.Legend(title=None, orient="top", symbolType="circle"),
        ),
        tooltip=[
            "group",
            "width",
            "trials",
            alt.Tooltip("WER:Q", format=".1f"),
            alt.Tooltip("CER:Q", format=".1f"),
            alt.Tooltip("parameters:Q", format=".3s"),
            alt.Tooltip("multiply_adds:Q", format=".3s"),
        ],
    )
    chart: alt.LayerChart = (
        base.mark_line(strokeWidth=2, opacity=0.6) + base.mark_circle(size=110, opacity=1)
    ).properties(height=340)
    return chart
