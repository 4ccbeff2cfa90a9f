"""Leaderboard: all trials of a sweep, which setting reads lips best."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler
from streamlit.delta_generator import DeltaGenerator

from dashboard.analysis.matched_pairs import width_value
from dashboard.analysis.tables import leaderboard_rows, short_names
from dashboard.analysis.tradeoff import COSTS, cost_rows, front_summary
from dashboard.charts import charts, legend
from dashboard.notation import duration, percent
from dashboard.shell import page_frame, query_params
from dashboard.tracking.mlflow_links import run_link, ui_address
from dashboard.tracking.records import Trial
from dashboard.views.leaderboard_details import details
from lipkd.evaluation.matching import differing

RATES = ["best_wer", "best_cer", "wer", "cer", "wer_ensemble", "wer_best_peer"]
COST = "cost"
# In their order: first what is pinned, then from what says most to what says least.
COLUMNS = (
    *("pin", "trial", "best_wer", "sweep", "state", "method", "peers", "width", "batch_size", "seed"),
    *("best_cer", "wer_best_peer", "wer_ensemble", "minutes", "epochs", "best_epoch", "wer", "cer", "mlflow", "reason"),
)
MARKS = ("#d7ecdf", "#1d4a33")  # behind the best, light and dark
Key = Callable[[Trial], str]


def page() -> None:
    named, trials = page_frame.choose_trials()
    summary(trials)
    pinned = pins(trials)
    chosen = [*pinned, *(trial for trial in filtered(trials) if trial not in pinned)]
    if not chosen:
        st.info("No trial fits these filters.", icon=":material/filter_alt_off:")
        return
    table(named, chosen, len(pinned))
    figure(chosen, trials)
    details(chosen, trials)


def summary(trials: Sequence[Trial]) -> None:
    """The sweep in one row: how far it is, and what it has reached."""
    states = pd.Series([trial.state for trial in trials]).value_counts()
    best = trials[0]
    of_cer = min(trials, key=lambda trial: 9.0 if trial.best_cer is None else trial.best_cer)
    with st.container(horizontal=True):
        st.metric("Trials", len(trials), border=True, help="All trials of what is chosen in the sidebar.")
        st.metric("State", ", ".join(f"{n} {state}" for state, n in states.items()), border=True)
        st.metric("Lowest WER", percent(best.best_wer), border=True, help=whose(best))
        st.metric("Lowest CER", percent(of_cer.best_cer), border=True, help=whose(of_cer))
        st.metric("Training time", duration(sum(trial.seconds or 0 for trial in trials)), border=True)


def whose(trial: Trial) -> str | None:
    """Whose rate that is, and what else this trial has reached; nothing before its first epoch."""
    if trial.best_epoch is None:
        return None
    words = f"{trial.name}, epoch {trial.best_epoch}"
    if trial.peers > 1:
        words += f", mean of its {trial.peers} peers"
        others = (("best peer", trial.wer_best_peer), ("ensemble", trial.wer_ensemble))
        words += "".join(f"; WER of the {name} {percent(wer)}" for name, wer in others if wer is not None)
    return page_frame.plain(words)


def filtered(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that pass the filters, which are folded into one button; a filter with nothing chosen lets everything
    through, and one with nothing to choose is not drawn."""
    filters: dict[str, tuple[str, Key, Callable[[str], float | str]]] = {
        "method": ("Method", lambda t: t.method, str),
        "peers": ("Peers", lambda t: str(t.peers), float),
        "width": ("Width", lambda t: t.width, width_value),
        "batch": ("Batch size", lambda t: str(t.batch_size), float),
        "seed": ("Seed", lambda t: str(t.seed), float),
        "state": ("State", lambda t: t.state, str),
    }
    chosen = list(trials)
    row = st.container(horizontal=True, vertical_alignment="center")
    place, active = row.popover("Filters", icon=":material/filter_alt:", width="content"), []
    for name, (label, value, order) in filters.items():
        options = sorted({value(trial) for trial in trials}, key=order)
        if len(options) > 1:
            wanted = query_params.several(place, label, options, key=name, placeholder="all")
            chosen = [trial for trial in chosen if not wanted or value(trial) in wanted]
            active += [f"{label}: {' or '.join(wanted)}"] if wanted else []
    if len(chosen) > 1:
        chosen, parameter = any_parameter(place, chosen)
        active += [parameter] if parameter else []
    row.caption(
        page_frame.plain(f"{len(chosen)} of {len(trials)} trials, {', '.join(active)}") if active else "all trials"
    )
    return chosen


def pins(trials: Sequence[Trial]) -> list[Trial]:
    """Trials that stay on top whatever the filters say; as they are in the address, a link takes them along."""
    labels = page_frame.trial_labels(trials)
    if not query_params.has_value("pins"):
        return []
    names = query_params.several(st.container(), "Pinned", list(labels), key="pins", placeholder="none")
    return [labels[name] for name in names]


def table(sweep_name: str, trials: Sequence[Trial], pinned: int) -> None:
    """All figures of the trials, the first so many of them pinned; rows can be chosen and taken to the other pages."""
    uri = page_frame.tracking_uri()
    rows = pd.DataFrame(leaderboard_rows(trials))
    table_rows = rows.assign(**{name: 100 * rows[name].astype(float) for name in RATES})
    table_rows["trial"] = list(short_names(trials).values())
    table_rows["mlflow"] = [run_link(uri, trial) for trial in trials]
    if pinned:
        table_rows.insert(0, "pin", ["★"] * pinned + [""] * (len(table_rows) - pinned))
    if not rows["reason"].any():
        table_rows = table_rows.drop(columns="reason")
    if rows["sweep"].nunique() == 1:
        table_rows = table_rows.drop(columns="sweep")
    mixed = any(trial.peers > 1 for trial in trials)
    event = st.dataframe(
        emphasised(table_rows[[name for name in COLUMNS if name in table_rows]]),
        hide_index=True,
        key=f"leaderboard {sweep_name}",
        on_select="rerun",
        selection_mode="multi-row",
        height=min(38 + 35 * len(table_rows), 560),
        column_config=columns(mixed),
    )
    if mixed:
        st.caption(
            "Best WER and Best CER are means over a trial's peers, in the epoch in which that mean of WER was lowest; "
            "Best peer and Ensemble are the WER of its best peer and of its peers together, in the same epoch."
        )
    names = list(page_frame.trial_labels(trials))
    picked = [names[row] for row in event["selection"]["rows"] if row < len(names)]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Compare", icon=":material/show_chart:", disabled=not picked, help="Curves of the chosen rows"):
            st.session_state["trials"] = picked
            st.switch_page("views/compare.py")
        if st.button("Replay", icon=":material/play_circle:", disabled=not picked, help="Clips of the chosen rows"):
            st.session_state["a"] = picked[0]
            st.session_state["b"] = picked[1] if len(picked) > 1 else None
            st.switch_page("views/replay.py")
        st.button(
            "Pin",
            icon=":material/keep:",
            disabled=not picked,
            help="Keep the selected rows on top, also when a filter excludes them",
            on_click=query_params.add,
            args=("pins", picked),
        )
        name = re.sub(r"[^\w.-]+", "-", sweep_name)
        st.download_button(
            "CSV",
            lambda: rows.to_csv(index=False),
            f"{name}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.caption("Choose rows to compare or replay them." if not picked else f"{len(picked)} chosen")
        started = "" if uri.startswith("http") else ", while `lipkd ui` runs"
        st.caption(f"Runs open in MLflow at {page_frame.plain(ui_address(uri))}{started}.")


def emphasised(rows: pd.DataFrame) -> Styler:
    """The best WER in bold, the lowest marked."""
    styled = rows.style.set_properties(subset=["best_wer"], **{"font-weight": "bold"})
    mark = MARKS[page_frame.is_dark()]
    lowest = rows["best_wer"].min()

    def marked(column: pd.Series) -> list[str]:
        return [f"background-color: {mark}" if value == lowest else "" for value in column]

    return styled.apply(marked, subset=["best_wer"])


def columns(mixed: bool) -> dict[str, Any]:
    """How COLUMNS look; `mixed` where rates are means over peers. As far as the epochs they fit beside the sidebar of a
    screen 1440 pixels wide; the pinned ones fit on a phone."""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn

    def rate(label: str, width: int, help_text: str | None = None) -> Any:
        return number(label, format="%.1f %%", help=help_text, width=width)

    mean = "Lowest val/wer of all epochs: the mean over the trial's peers"
    return {
        "pin": text("", pinned=True, width=30),
        "trial": text("Trial", pinned=True, width=164, help="Without what all trials share; MLflow has the whole name"),
        "best_wer": rate("Best WER, mean" if mixed else "Best WER", 112 if mixed else 76, mean),
        "sweep": text("Sweep", width=100),
        "state": text("State", width=66),
        "method": text("Method", width=84),
        "peers": number("Peers", width=50),
        "width": text("Width", help="Multiplier of the network's channels", width=50),
        "batch_size": number("Batch", width=50),
        "seed": number("Seed", format="%d", width=46),
        "best_cer": rate("Best CER", 70, "val/cer of the best epoch, mean over peers"),
        "wer_best_peer": rate("Best peer", 72, "WER of the trial's best peer, in the best epoch"),
        "wer_ensemble": rate("Ensemble", 74, "WER of the mean of the peers' logits, in the best epoch"),
        "minutes": number("Minutes", format="%.1f", help="Sum of the times of its epochs", width=64),
        "epochs": number("Epochs", width=58),
        "best_epoch": number("at epoch", format="%d", help="The best one", width=68),
        "wer": rate("Last WER", 72),
        "cer": rate("Last CER", 70),
        "mlflow": st.column_config.LinkColumn("MLflow", display_text="run", width=58),
        "reason": "Reason",
    }


def figure(chosen: Sequence[Trial], trials: Sequence[Trial]) -> None:
    """Best rates by one parameter, a dot per trial; or WER against what it cost."""
    colours = charts.group_colours(trials)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    groupings = charts.groupings(trials)
    by = query_params.one_of(left.container(), "Best rate by", [*groupings, COST], key="by", default=charts.SETTING)
    if by == COST:
        cost = query_params.select(right, "Cost", list(COSTS), key="cost", default=next(iter(COSTS))) or next(
            iter(COSTS)
        )
        rows = cost_rows(chosen, cost)
        if rows:
            st.html(legend.legend_html(rows, colours, "shapes"))
            st.altair_chart(charts.cost_front(rows, colours, cost), alt=f"Best WER of every trial against {cost}")
        else:
            st.info(
                "No trial that is over has both a result and this cost. The size of a network is known where all peers "
                "have one width."
            )
        if words := front_summary(chosen, rows, cost):
            st.caption(page_frame.plain(words))
        return
    rate = query_params.one_of(right, "Rate", ["WER", "CER"], key="rate", default="WER")
    rows = charts.rate_rows(chosen, by)
    if rows:
        st.altair_chart(charts.rate_dots(rows, colours, rate), alt=f"Best {rate} of every trial by {by}")
    else:
        st.info("No trial has a result yet: rates appear with the first epoch.")


def any_parameter(place: DeltaGenerator, trials: list[Trial]) -> tuple[list[Trial], str]:
    """The trials with the chosen values of one more parameter, any in which the trials differ, and that filter in
    words."""
    names = differing([trial.config for trial in trials])
    if not names:
        return trials, ""
    name = query_params.select(place, "Another parameter", names, key="parameter", default=None, placeholder="any")
    if name is None:
        return trials, ""
    values = sorted({trial.config.get(name, "–") for trial in trials}, key=natural)
    wanted = query_params.several(place, "Its values", values, key="values", placeholder="all")
    if not wanted:
        return trials, ""
    return [trial for trial in trials if trial.config.get(name, "–") in wanted], f"{name}: {' or '.join(wanted)}"


def natural(text: str) -> tuple[float, str]:
    """A sort key: numbers by their value, then words."""
    try:
        return (float(text), "")
    except ValueError:
        return (float("inf"), text)


if __name__ == "__main__":
    page_frame.show("Leaderboard", page)
