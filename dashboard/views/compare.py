"""Compare: learning curves of chosen trials, and every method against a baseline with everything else equal."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from dashboard import cached, charts, links, markup, shell
from dashboard.pairing import gains, groups
from dashboard.records import Trial
from dashboard.tables import differing_parameters, verdicts

MOST = 20
RATES = {"val/wer": "WER, %", "val/cer": "CER, %"}


def page() -> None:
    _, trials = shell.choose_sweep()
    colours = charts.group_colours(trials)
    labels = shell.trial_labels(trials)
    chosen = links.several(
        st.container(), "Trials", list(labels), key="trials", default=suggested(labels), max_selections=MOST
    )
    if chosen:
        curves([labels[name] for name in chosen], colours)
    else:
        st.info("Choose at least one trial.", icon=":material/show_chart:")
    against_baseline(trials, colours)
    if len(chosen) > 1:
        differences([labels[name] for name in chosen])


def suggested(labels: dict[str, Trial]) -> list[str]:
    """The best trial of every group and width, eight at most."""
    seen: dict[tuple[str, str], str] = {}
    for label, trial in labels.items():
        if trial.best_wer is not None:
            seen.setdefault((trial.group, trial.width), label)
    return list(seen.values())[:8]


def curves(trials: Sequence[Trial], colours: Mapping[str, str]) -> None:
    """WER and CER side by side, and any other metric on request."""
    for column, (metric, title) in zip(st.columns(2), RATES.items(), strict=True):
        with column:
            draw(trials, colours, metric, title, 100)
    others = sorted({name for trial in trials for name in trial.metrics} - set(RATES))
    other = links.select(
        st.container(), "Another metric", others, key="metric", default=None, placeholder="e.g. train/loss", width=360
    )
    if other:
        draw(trials, colours, other, other, 1)


def draw(trials: Sequence[Trial], colours: Mapping[str, str], metric: str, title: str, factor: float) -> None:
    uri = shell.tracking_uri()
    found = [cached.curve(uri, t.run_id, metric, t.epochs) for t in trials if metric in t.metrics]
    rows = charts.curve_rows(trials, found, factor)
    if rows:
        st.altair_chart(charts.learning_curves(rows, colours, title), alt=f"{title} over epochs")
    else:
        st.info(f"None of these trials has reported {shell.plain(metric)} yet.")


def against_baseline(trials: Sequence[Trial], colours: Mapping[str, str]) -> None:
    """Pairs of trials that differ in the cohort only: vanilla against KD at equal width."""
    st.subheader("Against the baseline at equal width")
    known = groups(trials)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    told = "Vanilla is one peer that learns alone; independent with as many peers is the stricter control."
    baseline = links.one_of(left, "Baseline", known, key="baseline", default=known[0], help=told)
    rate = links.one_of(right, "Rate", ["WER", "CER"], key="rate", default="WER")
    found = gains(trials, baseline)
    if not found:
        st.info(
            f"No finished trial has a finished {baseline} trial that equals it in everything but the cohort "
            "(width, batch size, seed, data, training)."
        )
        return
    st.html(markup.sentences(verdicts(found, baseline)))
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
    shell.show("Compare", page)
