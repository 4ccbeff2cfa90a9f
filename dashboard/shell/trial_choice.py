"""The trials on the pages Replay and Errors: A, perhaps B, and of each the peer (or ensemble) whose output counts."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from dashboard import cache
from dashboard.analysis.sweep_progress import COMPLETE
from dashboard.analysis.tables import short_label
from dashboard.errors.word_edits import ClipEdits, corpus_rates
from dashboard.notation import percent
from dashboard.shell import page_frame, query_params
from dashboard.tracking.records import Prediction, Trial
from lipkd.errors import LipkdError

TRIED = 5  # trials whose predictions are asked of MLflow


@dataclass(frozen=True)
class ChosenTrial:
    """A trial on a page, `A` or `B`, and the output of it that counts: `peer 0` …, or `ensemble`."""

    letter: str
    trial: Trial
    predictions: dict[str, Prediction]
    edits_by_output: dict[str, dict[str, ClipEdits]]  # output, clip id
    output: str

    @property
    def edits(self) -> dict[str, ClipEdits]:
        """Of the chosen output, by clip id."""
        return self.edits_by_output[self.output]

    def text(self, clip_id: str) -> str:
        """The hypothesis of the chosen output."""
        found = self.predictions[clip_id]
        return found.ensemble if self.output == "ensemble" else found.hypotheses[int(self.output.removeprefix("peer "))]


def trials_with_results() -> dict[str, Trial]:
    """The trials of the sweep that have predictions, or will have, by unique label, the best first. None, and the page
    says so, before the first epoch."""
    _, trials = page_frame.choose_trials()
    labels = page_frame.trial_labels([trial for trial in trials if trial.best_epoch is not None])
    if not labels:
        st.info("No trial has predictions yet: they appear with the first epoch.", icon=":material/hourglass_empty:")
    return labels


def choose_a_and_b(labels: Mapping[str, Trial]) -> list[ChosenTrial]:
    """Trial A, and B if one is chosen; the best one with predictions is A at first."""
    names = list(labels)
    best = names[0] if query_params.has_option("a", names) else best_with_predictions(labels)
    first, second = st.columns(2)
    a = query_params.select(first, "Trial A", names, key="a", default=best, format_func=short_label(labels)) or best
    b = query_params.select(
        second, "Trial B", names, key="b", default=None, placeholder="none", format_func=short_label(labels)
    )
    return [with_predictions("A", labels[a])] + ([with_predictions("B", labels[b])] if b else [])


def best_with_predictions(labels: Mapping[str, Trial]) -> str:
    """The label of the best trial whose predictions are there: they come when a trial ends. Raises NothingToShow when
    there is none."""
    for name in sorted(labels, key=lambda name: labels[name].state not in COMPLETE)[:TRIED]:
        with contextlib.suppress(cache.NoPredictions):
            cache.predictions(page_frame.tracking_uri(), labels[name].run_id, labels[name].best_epoch)
            return name
    raise page_frame.NothingToShow(
        "No trial of this sweep has its predictions in MLflow yet: they come when a trial ends. To bring in those of "
        "trials that have ended elsewhere:",
        "lipkd sync",
    )


def with_predictions(letter: str, trial: Trial) -> ChosenTrial:
    """A trial with its predictions; raises LipkdError when it has none. The output with the lowest WER is
    chosen at first."""
    uri = page_frame.tracking_uri()
    try:
        predictions = cache.predictions(uri, trial.run_id, trial.best_epoch)
    except cache.NoPredictions as reason:
        raise LipkdError(f"Trial {trial.name} cannot be shown: {reason}.") from reason
    found = cache.edits_by_output(uri, trial.run_id, trial.best_epoch, trial.alphabet)
    ids = [prediction.clip_id for prediction in predictions]
    outputs = sorted(found, key=lambda output: (output == "ensemble", corpus_rates(found[output])))
    by_output = [found[output] for output in outputs]
    output = outputs[0]
    if len(outputs) > 1:
        rates = [f"WER {percent(wer)}, CER {percent(cer)}" for wer, cer in map(corpus_rates, by_output)]
        key = f"output_{letter.lower()}"
        output = query_params.radio(st.sidebar.container(), f"Trial {letter}: output", outputs, key=key, captions=rates)
    by_clip = {name: dict(zip(ids, rows, strict=True)) for name, rows in found.items()}
    return ChosenTrial(letter, trial, dict(zip(ids, predictions, strict=True)), by_clip, output)
