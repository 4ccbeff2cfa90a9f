"""Sweeps: all of them with what they have reached and cost, and the progress of the chosen one while it runs."""

import time
from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from dashboard import cache
from dashboard.analysis.sweep_progress import OVER, abandoned_summary, epochs_of, may_change, progress
from dashboard.charts import charts, legend
from dashboard.notation import duration, percent
from dashboard.shell import page_frame
from dashboard.tracking.records import Sweep, Trial

EVERY = 5.0  # seconds between two readings of a sweep that runs
MOST_CURVES = 20
MEANS = "The lowest of any trial; a trial's own is the mean over its peers"
COUNTED = 30  # sweeps whose trials are read for the overview


def page() -> None:
    sweep = page_frame.choose_sweep()
    overview()
    st.subheader(page_frame.plain(sweep.name))
    trials = cache.trials(page_frame.tracking_uri(), sweep)
    if may_change(sweep, trials):
        # Draws itself again and nothing else: what the reader has chosen or is typing elsewhere stays as it is.
        st.fragment(live, run_every=EVERY)(sweep)
    else:
        state(sweep, trials)
    with st.container(horizontal=True):
        st.page_link("views/leaderboard.py", label="Leaderboard", icon=":material/leaderboard:")
        st.page_link("views/compare.py", label="Compare", icon=":material/show_chart:")
        st.page_link("views/replay.py", label="Replay", icon=":material/play_circle:")


def overview() -> None:
    """A row per sweep; a click on one chooses it."""
    by_label = page_frame.sweeps_by_label()
    rows = []
    for label, sweep in list(by_label.items())[:COUNTED]:
        trials = cache.trials(page_frame.tracking_uri(), sweep)
        far = progress(trials, time.time())
        rows.append(
            {
                "sweep": label,
                "began": datetime.fromtimestamp(sweep.began).astimezone(),
                "state": "running" if may_change(sweep, trials) else sweep.state,
                "done": 100 * far.share,
                "trials": len(trials),
                "failed": far.states.get("failed", 0),
                "abandoned": far.states.get("abandoned", 0),
                "best_wer": None if far.best_wer is None else 100 * far.best_wer,
                "best_cer": None if far.best_cer is None else 100 * far.best_cer,
                "cost": duration(far.cost),
            }
        )

    def take() -> None:
        if chosen := st.session_state["sweeps table"]["selection"]["rows"]:
            st.session_state["sweep"] = rows[chosen[0]]["sweep"]

    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="sweeps table",
        on_select=take,
        selection_mode="single-row",
        height=min(38 + 35 * len(rows), 320),
        column_config={
            "sweep": st.column_config.TextColumn("Sweep", pinned=True),
            "began": st.column_config.DatetimeColumn("Began", format="D MMM YYYY, HH:mm"),
            "state": "State",
            "done": st.column_config.ProgressColumn("Done", format="%.0f %%", min_value=0, max_value=100),
            "trials": number("Trials"),
            "failed": number("Failed"),
            "abandoned": number("Abandoned", help="Not finished, and no process works on them any more"),
            "best_wer": number("Best WER", format="%.1f %%", help=MEANS),
            "best_cer": number("Best CER", format="%.1f %%", help=MEANS),
            "cost": st.column_config.TextColumn("Cost", help="Sum of the times of all epochs of all trials"),
        },
    )
    if len(by_label) > COUNTED:
        st.caption(f"The latest {COUNTED} of {len(by_label)} sweeps; the menu in the sidebar has all of them.")


def live(sweep: Sweep) -> None:
    """The state of a sweep that runs, read anew every time."""
    trials = cache.trials_now(page_frame.tracking_uri(), sweep, int(time.time() / EVERY))
    state(sweep, trials)
    if not may_change(sweep, trials):
        st.caption("The sweep has ended.")
    else:
        st.caption(f"Updated every {EVERY:.0f} seconds; last at {datetime.now().astimezone():%H:%M:%S}.")


def state(sweep: Sweep, trials: Sequence[Trial]) -> None:
    """How far a sweep is, and its running trials."""
    far = progress(trials, time.time())
    st.progress(far.share, f"{far.done} of {far.planned} epochs" if far.planned else "no epoch yet")
    with st.container(horizontal=True):
        st.metric("Trials", ", ".join(f"{n} {name}" for name, n in far.states.items()), border=True)
        st.metric("Lowest WER", percent(far.best_wer), border=True, help=MEANS)
        st.metric("Lowest CER", percent(far.best_cer), border=True, help=MEANS)
        st.metric("Cost", duration(far.cost), border=True, help="Sum of the times of all epochs of all trials")
        if may_change(sweep, trials):
            st.metric("Left", duration(far.left), border=True, help="At the pace of the last epochs")
            speed = "–" if far.clips_per_s is None else f"{far.clips_per_s:.0f} clips/s"
            st.metric("Speed", speed, border=True, help="All running trials together")
            memory = "–" if far.memory_mb is None else f"{far.memory_mb / 1024:.1f} GB"
            st.metric("Memory", memory, border=True, help="Peak of the running trials together")
    if left := abandoned_summary(trials):
        goes_on = "`lipkd sweep FILE --resume` with the file of this sweep goes on from the last checkpoints."
        st.warning(f"{page_frame.plain(left)} {goes_on}", icon=":material/pause_circle:")
    running = [trial for trial in trials if trial.state not in OVER]
    if running:
        st.dataframe(
            pd.DataFrame(
                {
                    "Trial": t.name,
                    "State": t.state,
                    "Epochs": 100 * t.epochs / max(epochs_of(t), t.epochs, 1),
                    "WER": None if t.wer is None else 100 * t.wer,
                    "Best WER": None if t.best_wer is None else 100 * t.best_wer,
                    "CPU": t.latest.get("system/cpu_percent"),
                    "GPU": t.latest.get("system/gpu_percent"),
                    "Memory": t.latest.get("memory/peak_mb"),
                }
                for t in running
            ).dropna(axis="columns", how="all"),
            hide_index=True,
            column_config={
                "Epochs": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100),
                "WER": st.column_config.NumberColumn(format="%.1f %%"),
                "Best WER": st.column_config.NumberColumn(format="%.1f %%"),
                "CPU": st.column_config.NumberColumn(format="%.0f %%", help="100 % is one processor"),
                "GPU": st.column_config.NumberColumn(format="%.0f %%", help="Of the GPU that it runs on, by whomever"),
                "Memory": st.column_config.NumberColumn(format="%.0f MB", help="Peak of the trial"),
            },
        )
    failed = [f"{trial.name}: {trial.reason}" for trial in trials if trial.state == "failed" and trial.reason]
    if failed:
        with st.expander(f"{len(failed)} failed"):
            st.text("\n".join(failed))
    curves(trials)


def curves(trials: Sequence[Trial]) -> None:
    """WER over epochs of the best trials."""
    uri = page_frame.tracking_uri()
    chosen = [trial for trial in trials if "val/wer" in trial.metrics][:MOST_CURVES]
    rows = charts.curve_rows(chosen, cache.curves(uri, chosen, "val/wer"), 100)
    if rows:
        colours = charts.group_colours(trials)
        st.html(legend.legend_html(rows, colours, "dashes"))
        chart = charts.learning_curves(rows, colours, "WER, %", height=300)
        st.altair_chart(chart, alt="WER over epochs of the best trials")
    else:
        st.info("No trial has a result yet: rates appear with the first epoch.", icon=":material/hourglass_empty:")


if __name__ == "__main__":
    page_frame.show("Sweeps", page)
