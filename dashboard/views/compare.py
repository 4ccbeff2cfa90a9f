"""Compare: learning curves of chosen trials or settings, whether one of two settings is better, and every method
against a baseline with everything else equal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import cache
from dashboard.analysis.matched_pairs import gains, groups
from dashboard.analysis.seed_groups import Setting, band_rows, controls, settings
from dashboard.analysis.tables import differing_parameters, incomparable_summary, short_label, verdict_number, verdicts
from dashboard.charts import charts, legend, seed_group_charts
from dashboard.components import transcript_html
from dashboard.shell import page_frame, query_params
from dashboard.tracking.records import Curve, Trial

MOST = 20
SUGGESTED = 6
TRIALS, SETTINGS = "trials", "settings"
RATES = {"val/wer": "WER, %", "val/cer": "CER, %"}


def page() -> None:
    _, trials = page_frame.choose_trials()
    colours = charts.group_colours(trials)
    left, right = st.columns([1, 4], vertical_alignment="top")
    help_text = "A setting is all trials that differ in nothing but the seed: its curve is their mean."
    by = query_params.one_of(left, "Curves of", [TRIALS, SETTINGS], key="of", default=TRIALS, help=help_text)
    found = settings(trials)
    chosen = chosen_settings(right, found, colours) if by == SETTINGS else chosen_trials(right, trials, colours)
    pair_verdict(found)
    against_baseline(trials, colours)
    if len(chosen) > 1:
        differences(chosen)


def chosen_trials(place: DeltaGenerator, trials: Sequence[Trial], colours: Mapping[str, str]) -> list[Trial]:
    """Curves of single trials."""
    labels = page_frame.trial_labels(trials)
    names = query_params.several(
        place,
        "Trials",
        list(labels),
        key="trials",
        default=suggested(labels),
        max_selections=MOST,
        format_func=short_label(labels),
    )
    chosen = [labels[name] for name in names]
    curves(
        chosen,
        lambda read, factor: charts.curve_rows(chosen, [read(trial) for trial in chosen], factor),
        lambda rows, title: charts.learning_curves(rows, colours, title),
        lambda rows: legend.legend_html(rows, colours, "dashes"),
    )
    return chosen


def chosen_settings(place: DeltaGenerator, found: Sequence[Setting], colours: Mapping[str, str]) -> list[Trial]:
    """Curves of settings, the mean over their seeds in a band; returns a trial of each."""
    by_label = {setting.label: setting for setting in found}
    names = query_params.several(
        place, "Settings", list(by_label), key="settings", default=list(by_label)[:SUGGESTED], max_selections=MOST
    )
    chosen = [by_label[name] for name in names]

    def rows(read: Callable[[Trial], Curve], factor: float) -> list[dict[str, Any]]:
        alive = [[t for t in s.trials if t.state not in ("failed", "abandoned")] for s in chosen]
        bands = [band_rows(s, [read(t) for t in those], factor) for s, those in zip(chosen, alive, strict=True)]
        return [row for band in bands for row in band]

    curves(
        [trial for setting in chosen for trial in setting.trials],
        rows,
        lambda rows, title: seed_group_charts.seed_bands(rows, colours, title),
        lambda rows: legend.legend_html(seed_group_charts.with_series(rows), colours, "dashes"),
    )
    if chosen:
        st.caption("Lines are means over seeds; bands go from the lowest seed to the highest.")
    return [setting.trials[0] for setting in chosen]


def suggested(labels: dict[str, Trial]) -> list[str]:
    """The best trial of every group and width, eight at most."""
    best: dict[tuple[str, str], str] = {}
    for label, trial in labels.items():
        if trial.best_wer is not None:
            best.setdefault((trial.group, trial.width), label)
    return list(best.values())[:8]


Rows = Callable[[Callable[[Trial], Curve], float], list[dict[str, Any]]]
Draw = Callable[[list[dict[str, Any]], str], alt.LayerChart]


def curves(trials: Sequence[Trial], rows: Rows, draw: Draw, explain: Callable[[list[dict[str, Any]]], str]) -> None:
    """WER and CER side by side below one legend, and any other metric on request. `rows` makes rows of curves, with a
    function that reads the curve of a trial and a factor; `draw` a chart of them with a title, `explain` the legend."""
    if not trials:
        st.info("Choose at least one.", icon=":material/show_chart:")
        return
    above = st.container()
    for column, (metric, title) in zip(st.columns(2), RATES.items(), strict=True):
        with column:
            if (made := curve(trials, rows, draw, metric, title, 100)) and metric == "val/wer":
                above.html(explain(made))
    others = sorted({name for trial in trials for name in trial.metrics} - set(RATES))
    other = query_params.select(
        st.container(), "Another metric", others, key="metric", default=None, placeholder="e.g. train/loss", width=360
    )
    if other:
        curve(trials, rows, draw, other, other, 1)


def curve(
    trials: Sequence[Trial], rows: Rows, draw: Draw, metric: str, title: str, factor: float
) -> list[dict[str, Any]]:
    """A chart of one metric, or a sentence that there is none; returns its rows."""
    there = [trial for trial in trials if metric in trial.metrics]
    known = {curve.run_id: curve for curve in cache.curves(page_frame.tracking_uri(), there, metric)}
    made = rows(lambda trial: known.get(trial.run_id) or Curve(trial.run_id, metric, (), ()), factor)
    if made:
        st.altair_chart(draw(made, title), alt=f"{title} over epochs")
    else:
        st.info(f"None of these trials has reported {page_frame.plain(metric)} yet.")
    return made


def pair_verdict(found: Sequence[Setting]) -> None:
    """Whether one setting is better than another, by the verdict of `lipkd compare`."""
    by_label = {setting.label: setting for setting in found if any(t.state == "finished" for t in setting.trials)}
    if len(by_label) < 2:
        return
    st.subheader("Is one setting better?")
    control = controls(list(by_label.values()))
    first = next((label for label in by_label if label in control), next(iter(by_label)))
    left, right = st.columns(2)
    one = query_params.select(left, "Setting", list(by_label), key="one", default=first) or first
    rest = [label for label in by_label if label != one]
    second = control[one].label if one in control else rest[0]
    other = query_params.select(right, "against", rest, key="other", default=second) or second
    sides = [[t for t in by_label[label].trials if t.state == "finished"] for label in (one, other)]
    a, b = ([(trial.run_id, trial.best_epoch) for trial in side] for side in sides)
    comparison, refused = cache.verdict(page_frame.tracking_uri(), a, b, [trial for side in sides for trial in side])
    if comparison is None:
        st.info(page_frame.plain(f"These two cannot be compared: {refused}."), icon=":material/balance:")
        return
    for column, (rate, difference) in zip(
        st.columns(2), (("WER", comparison.wer), ("CER", comparison.cer)), strict=True
    ):
        column.metric(
            f"{rate} of the setting against the other",
            difference.outcome,
            verdict_number(difference, comparison.level),
            delta_color="off",
            delta_arrow="off",
            border=True,
            help="Better or worse where the interval excludes 0. Below 0 the setting makes fewer errors.",
        )
    with st.expander("In sentences, and what the interval covers"):
        st.html(transcript_html.sentences(comparison.verdict().splitlines()))
    st.caption(
        "Paired over seeds and clips, as `lipkd compare` does it. With three seeds or more, chance alone makes the "
        "interval exclude 0 in at most 6 of 100 comparisons; one seed shows nothing."
    )


def against_baseline(trials: Sequence[Trial], colours: Mapping[str, str]) -> None:
    """Pairs of trials that differ in the cohort only: vanilla against KD at equal width."""
    st.subheader("Against the baseline at equal width")
    known = groups(trials)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    help_text = "Vanilla is one peer that learns alone; independent with as many peers is the stricter control."
    baseline = query_params.one_of(left, "Baseline", known, key="baseline", default=known[0], help=help_text)
    rate = query_params.one_of(right, "Rate", ["WER", "CER"], key="rate", default="WER")
    found = gains(trials, baseline)
    if reason := incomparable_summary(trials):
        st.caption(page_frame.plain(reason))
    if not found:
        st.info(
            f"No finished trial has a finished {baseline} trial that equals it in everything but the cohort "
            "(width, batch size, seed, data, training)."
        )
        return
    st.html(transcript_html.sentences(verdicts(found, baseline)))
    left, right = st.columns(2)
    rows = charts.gain_rows(found, baseline)
    left.altair_chart(charts.gain_dumbbells(rows, colours, rate), alt=f"{rate} of every group and of {baseline}")
    number = st.column_config.NumberColumn
    right.dataframe(
        pd.DataFrame(
            {
                "Width": g.width,
                "Batch": g.batch_size,
                "Group": g.group,
                "Pairs": g.pairs,
                f"{baseline} WER": 100 * g.baseline_wer,
                "WER": 100 * g.wer,
                "ΔWER": -g.wer_points,
                "ΔCER": -g.cer_points,
            }
            for g in found
        ),
        hide_index=True,
        column_config={
            f"{baseline} WER": number(format="%.1f %%"),
            "WER": number(format="%.1f %%"),
            "ΔWER": number(format="%+.1f", help="Points against the baseline; below zero is better"),
            "ΔCER": number(format="%+.1f", help="Points against the baseline; below zero is better"),
        },
    )


def differences(trials: Sequence[Trial]) -> None:
    """Where the chosen trials' configurations differ."""
    st.subheader("Where the configurations differ")
    rows = differing_parameters(trials)
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"parameter": "Parameter"})
    else:
        st.caption("Nowhere: these trials have the same parameters.")


if __name__ == "__main__":
    page_frame.show("Compare", page)
