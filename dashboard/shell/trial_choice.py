"""The trials that Replay and Errors look at: A, perhaps B, and whose reading of each counts."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from dashboard import cache
from dashboard.analysis.sweep_progress import COMPLETE
from dashboard.errors.word_edits import Comparison, corpus_rates
from dashboard.notation import percent
from dashboard.shell import page_frame, query_params
from dashboard.tracking.records import Prediction, Trial
from lipkd.errors import LipkdError

TRIED = 5  # trials whose predictions are looked for


@dataclass(frozen=True)
class Reader:
    """A trial on a page, `A` or `B`, and the peer (or ensemble) of it that is looked at."""

    letter: str
    trial: Trial
    predictions: dict[str, Prediction]
    comparisons: dict[str, dict[str, Comparison]]  # voice, clip id
    voice: str

    @property
    def now(self) -> dict[str, Comparison]:
        return self.comparisons[self.voice]

    def text(self, clip_id: str) -> str:
        said = self.predictions[clip_id]
        return said.ensemble if self.voice == "ensemble" else said.hypotheses[int(self.voice.removeprefix("peer "))]


def trials_with_results() -> dict[str, Trial]:
    """The trials of the sweep that have predictions, or will have, by unique label, the best first. None, and the page
    says so, before the first epoch."""
    _, trials = page_frame.choose_trials()
    labels = page_frame.trial_labels([trial for trial in trials if trial.best_epoch is not None])
    if not labels:
        st.info("No trial has predictions yet: they appear with the first epoch.", icon=":material/hourglass_empty:")
    return labels


def choose_readers(labels: Mapping[str, Trial]) -> list[Reader]:
    """Trial A, and B if one is chosen; the best one that can be looked at is A at first."""
    names = list(labels)
    best = names[0] if query_params.stands("a", names) else best_to_look_at(labels)
    first, second = st.columns(2)
    a = query_params.select(first, "Trial A", names, key="a", default=best) or best
    b = query_params.select(second, "Trial B", names, key="b", default=None, placeholder="none")
    return [reader("A", labels[a])] + ([reader("B", labels[b])] if b else [])


def best_to_look_at(labels: Mapping[str, Trial]) -> str:
    """The best trial whose predictions are there, by its label: they come when a trial ends. Raises Nothing when there
    is none."""
    for name in sorted(labels, key=lambda name: labels[name].state not in COMPLETE)[:TRIED]:
        with contextlib.suppress(cache.NoPredictions):
            cache.predictions(page_frame.tracking_uri(), labels[name].run_id, labels[name].best_epoch)
            return name
    raise page_frame.Nothing(
        "No trial of this sweep has its predictions in MLflow yet: they come when a trial ends. To bring in those of "
        "trials that have ended elsewhere:",
        "lipkd sync",
    )


def reader(letter: str, trial: Trial) -> Reader:
    """A trial with its predictions; raises LipkdError when it has none. The lowest WER speaks first."""
    uri = page_frame.tracking_uri()
    try:
        predictions = cache.predictions(uri, trial.run_id, trial.best_epoch)
    except cache.NoPredictions as reason:
        raise LipkdError(f"Trial {trial.name} cannot be looked at: {reason}.") from reason
    said = cache.comparisons(uri, trial.run_id, trial.best_epoch)
    ids = [prediction.clip_id for prediction in predictions]
    voices = sorted(said, key=lambda voice: (voice == "ensemble", corpus_rates(said[voice])))
    by_voice = [said[voice] for voice in voices]
    voice = voices[0]
    if len(voices) > 1:
        told = [f"WER {percent(wer)}, CER {percent(cer)}" for wer, cer in map(corpus_rates, by_voice)]
        key = f"voice_{letter.lower()}"
        voice = query_params.radio(st.sidebar.container(), f"Trial {letter}: who reads", voices, key=key, captions=told)
    by_clip = {name: dict(zip(ids, rows, strict=True)) for name, rows in said.items()}
    return Reader(letter, trial, dict(zip(ids, predictions, strict=True)), by_clip, voice)
