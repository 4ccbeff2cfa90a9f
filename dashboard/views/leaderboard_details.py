"""The leaderboard's lower part: settings with their intervals, all parameters at once, and which of them matter."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cache
from dashboard.analysis.importance import FEW, parallel_rows, short, usable_trials
from dashboard.analysis.seed_groups import setting_rows, settings
from dashboard.analysis.tables import incomparable_summary
from dashboard.charts import charts, seed_group_charts
from dashboard.shell import page_frame, query_params
from dashboard.tracking.records import Trial

SETTINGS, PARALLEL, IMPORTANCE = "settings over seeds", "parallel coordinates", "importance of parameters"
MOST_LINES = 300
MOST_SETTINGS = 40


def details(chosen: Sequence[Trial], trials: Sequence[Trial]) -> None:
    """One of three views of the chosen trials; `trials` are all of the sweep."""
    st.subheader("Details")
    view = query_params.one_of(
        st.container(), "View", [SETTINGS, PARALLEL, IMPORTANCE], key="details", default=SETTINGS
    )
    {SETTINGS: over_seeds, PARALLEL: all_parameters, IMPORTANCE: what_matters}[view](chosen, trials)


def over_seeds(chosen: Sequence[Trial], trials: Sequence[Trial]) -> None:
    """A row per setting: the mean over its seeds and how far that can be trusted."""
    rows = setting_rows(settings(chosen))
    if not rows:
        st.info("No trial has finished yet: an interval over seeds needs finished trials.")
        return
    table_rows = pd.DataFrame(rows)
    rates = ("wer", "low", "high", "cer", "lowest", "highest")
    number = st.column_config.NumberColumn

    def rate(label: str, width: int, help_text: str | None = None) -> Any:
        return number(label, format="%.1f %%", help=help_text, width=width)

    interval = "95 % interval of the mean over seeds (Student's t)"
    columns = {
        "setting": st.column_config.TextColumn("Setting", pinned=True, width=220),
        "wer": rate("Mean WER", 78, "Mean of the best WERs of its finished trials"),
        "low": rate("from", 62, interval),
        "high": rate("to", 62, interval),
        "cer": rate("Mean CER", 76),
        "minutes": number("Minutes", format="%.1f", help="Mean training time of a trial", width=66),
        "seeds": number("Seeds", width=54),
        "lowest": rate("Lowest", 66),
        "highest": rate("Highest", 66),
    }
    st.dataframe(
        table_rows.assign(**{name: 100 * table_rows[name].astype(float) for name in rates}),
        hide_index=True,
        height=min(38 + 35 * len(rows), 420),
        column_order=list(columns),
        column_config=columns,
    )
    st.altair_chart(seed_group_charts.setting_intervals(rows[:MOST_SETTINGS]), alt="Mean best WER of every setting")
    if len(rows) > MOST_SETTINGS:
        st.caption(f"The best {MOST_SETTINGS} of {len(rows)} settings.")
    if all(row["low"] is None for row in rows):
        st.caption(
            "One seed each: there is no interval, and a difference may be noise. Give the sweep `seeds: [0, 1, 2]`."
        )
    else:
        st.caption(
            "From–to: 95 % interval of the mean, by Student's t over seeds. Compare tests pairs by a paired "
            "bootstrap, which detects smaller differences."
        )


def all_parameters(chosen: Sequence[Trial], trials: Sequence[Trial]) -> None:
    """A line per trial through all parameters in which the trials differ, to its WER."""
    rows = parallel_rows(chosen[:MOST_LINES])
    if not rows:
        st.info("No trial has a result yet: rates appear with the first epoch.")
        return
    chart = seed_group_charts.parallel(rows, charts.group_colours(trials), dark=page_frame.is_dark())
    st.altair_chart(chart, alt="Parameters and best WER of every trial, a line each")
    if len(chosen) > MOST_LINES:
        st.caption(f"The best {MOST_LINES} of {len(chosen)} trials; filters choose others.")


def what_matters(chosen: Sequence[Trial], trials: Sequence[Trial]) -> None:
    """fANOVA: how much of the WER's variance each parameter explains."""
    if reason := incomparable_summary(chosen):
        st.caption(page_frame.plain(reason))
    found, refused = cache.importances(tuple((t.run_id, t.state, t.best_wer) for t in chosen), chosen)
    if refused:
        st.info(page_frame.plain(f"{refused[0].upper()}{refused[1:]}."), icon=":material/bar_chart:")
        return
    rows = [
        {"parameter": ", ".join(map(short, one.parameters)), "share": 100 * one.share, "values": one.values}
        for one in found
    ]
    chart = seed_group_charts.importance_bars(rows, dark=page_frame.is_dark())
    st.altair_chart(chart, alt="Importance of every parameter")
    count = len(usable_trials(chosen))
    st.caption(
        f"From {count} trials{': few, so the shares are rough' if count < FEW else ''}. "
        "fANOVA of the best WER of the finished trials above (Optuna's): shares add up to 100 %. The "
        "share of the seed is noise. Parameters on one line changed together in every trial, so they have one share."
    )
