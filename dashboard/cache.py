"""Records for the pages, kept between reruns: a thin layer of Streamlit's caches over `dashboard.tracking.records`.

What may still change is fetched again after `FRESH` seconds, in the background, so that a page never waits
for what it has; what is fixed by its arguments (an epoch, a digest) is kept until there is no room.
"""

import contextlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.analysis.importance import Importance
from dashboard.analysis.sweep_progress import initial_sweep
from dashboard.components.player import SHEET_COLUMNS, Media
from dashboard.errors import hard_clips
from dashboard.errors.hard_clips import TrialHypotheses
from dashboard.errors.word_edits import ClipEdits, clip_edits
from dashboard.media.clip_video import cache_folder, clip_video, crop_sheet
from dashboard.media.source_video import NoVideo, SourceVideo, source_video
from dashboard.tracking import records
from dashboard.tracking.records import Curve, Posteriors, Prediction, Sweep, Trial, database_state
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError

if TYPE_CHECKING:
    from lipkd.evaluation.comparison import MethodComparison

FRESH = 15.0
AT_A_TIME = 8  # trials whose predictions are fetched
MOST_CURVES = 2000  # that are kept
CurveKey = tuple[str, str, str, int]  # tracking URI, run, metric, epochs
_lock = threading.Lock()  # around the dictionaries below, which all sessions share; never held while MLflow is read


class NoPredictions(LipkdError):
    """A trial's predictions are not in MLflow yet: they come when it ends."""


@st.cache_resource(ttl=FRESH, refresh_mode="background", show_spinner="Reading MLflow …")
def sweeps(tracking_uri: str) -> list[Sweep]:
    return records.read_sweeps(tracking_uri)


@st.cache_resource(ttl=FRESH, refresh_mode="background", max_entries=64, show_spinner="Reading the trials …")
def trials(tracking_uri: str, sweep: Sweep) -> list[Trial]:
    """The trials of a sweep, the same list for everybody: nobody changes it."""
    return _read_trials(tracking_uri, sweep)


@st.cache_resource(max_entries=4, show_spinner=False)
def trials_now(tracking_uri: str, sweep: Sweep, moment: int) -> list[Trial]:
    """The trials as they are at a `moment`: read once for it, however many readers look."""
    return _read_trials(tracking_uri, sweep)


def _read_trials(tracking_uri: str, sweep: Sweep) -> list[Trial]:
    """The trials of a sweep, not read again from a database that nobody has written to since."""
    state, known = database_state(tracking_uri), _known_trials()
    key = (tracking_uri, sweep.run_id)
    with _lock:
        kept = known.get(key)
    if kept is not None and kept[0] is not None and kept[0] == state:
        return kept[1]
    read = records.read_trials(tracking_uri, sweep)
    with _lock:
        known[key] = (state, read)
    return read


def prepare_trials(tracking_uri: str) -> None:
    """Read the trials of the sweep that the pages open before anybody asks for them."""
    if found := records.read_sweeps(tracking_uri):
        initial_sweep(found, lambda sweep: _read_trials(tracking_uri, sweep))


@st.cache_resource(show_spinner=False)
def _known_trials() -> dict[tuple[str, str], tuple[object, list[Trial]]]:
    return {}


def curves(tracking_uri: str, trials: Sequence[Trial], metric: str) -> list[Curve]:
    """The curves of a metric of several trials, in their order; those of a trial that goes on are read again."""
    keys = {trial.run_id: (tracking_uri, trial.run_id, metric, trial.epochs) for trial in trials}
    known = _known_curves()
    with _lock:
        found = {run_id: known[key] for run_id, key in keys.items() if key in known}
    if missing := [run_id for run_id in keys if run_id not in found]:
        read = {curve.run_id: curve for curve in records.read_curves(tracking_uri, missing, metric)}
        found |= read
        with _lock:
            known.update({keys[run_id]: curve for run_id, curve in read.items()})
            for oldest in list(known)[: max(len(known) - MOST_CURVES, 0)]:
                del known[oldest]
    return [found[trial.run_id] for trial in trials]


@st.cache_resource(show_spinner=False)
def _known_curves() -> dict[CurveKey, Curve]:
    return {}


@st.cache_data(max_entries=64, show_spinner=False)
def predictions(tracking_uri: str, run_id: str, best_epoch: int | None) -> list[Prediction]:
    """Raises NoPredictions, which is not kept, while there are none."""
    return _found_predictions(tracking_uri, run_id)


@st.cache_data(max_entries=128, show_spinner=False)
def edits_by_output(
    tracking_uri: str, run_id: str, best_epoch: int | None, alphabet: str
) -> dict[str, list[ClipEdits]]:
    """Per output (`peer 0`, …, `ensemble`) the edits of its hypothesis of every clip, in the alphabet's letters."""
    rows = predictions(tracking_uri, run_id, best_epoch)
    references = [row.reference for row in rows]
    peers = len(rows[0].hypotheses) if rows else 0
    texts = {f"peer {i}": [row.hypotheses[i] for row in rows] for i in range(peers)}
    if peers > 1:
        texts["ensemble"] = [row.ensemble for row in rows]
    return {output: clip_edits(references, own, alphabet) for output, own in texts.items()}


def best_peer_hypotheses(tracking_uri: str, trials: Sequence[Trial]) -> list[TrialHypotheses | LipkdError]:
    """The hypotheses of the best peer of each trial, or why there are none. Several at a time: a server is far away."""

    def one(trial: Trial) -> TrialHypotheses | LipkdError:
        try:
            return _best_peer_hypotheses(tracking_uri, trial.run_id, trial.best_epoch, trial.alphabet)
        except LipkdError as error:
            return error

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(one, trials))


@st.cache_resource(max_entries=400, show_spinner=False)
def _best_peer_hypotheses(tracking_uri: str, run_id: str, best_epoch: int | None, alphabet: str) -> TrialHypotheses:
    return hard_clips.best_peer_hypotheses(_found_predictions(tracking_uri, run_id), alphabet)


def _found_predictions(tracking_uri: str, run_id: str) -> list[Prediction]:
    if found := records.read_predictions(tracking_uri, run_id):
        return found
    raise NoPredictions("it has no predictions in MLflow yet; `lipkd sync` brings them in")


@st.cache_resource(max_entries=8, show_spinner=False)
def posteriors(tracking_uri: str, run_id: str, best_epoch: int | None) -> Posteriors | None:
    return records.read_posteriors(tracking_uri, run_id)


def store(path: str) -> ClipStore:
    """The clip store, opened once; again when it was written anew. Raises LipkdError when it cannot be read."""
    meta = Path(path) / "meta.json"
    if not path or not meta.is_file():
        raise LipkdError(f"The clip store {path or '(no path in MLflow)'} is not there (any more).")
    return _store(path, meta.stat().st_mtime_ns)


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(path: str, written: int) -> ClipStore:
    return ClipStore.open(path)


@st.cache_data(max_entries=64, show_spinner=False)
def media(path: str, digest: str, clip_id: str) -> Media:
    """What is played of a clip: the original video with its sound and the mouth beside it, or the mouth alone.

    `digest` is that of the store at `path`, so that another store is another video.
    """
    opened = store(path)
    clip = opened.clip(clip_id)
    label = f"{clip.speaker}, clip {clip.id}"
    found = source_video(opened, clip, cache_folder())
    if isinstance(found, SourceVideo):
        sheet = crop_sheet(opened.read(clip), SHEET_COLUMNS)
        size = (opened.meta["height"], opened.meta["width"])
        return Media(f"{digest} source", found.content, "video/mp4", found.sound, label, sheet, size)
    content = clip_video(opened, clip, cache_folder())
    return Media(f"{digest} mouth", content, "video/webm", False, f"Mouth of {label}", note=found.reason)


def prepare_media(path: str, digest: str, clip_ids: Sequence[str]) -> None:
    """Encode in the background what will probably be played next; what fails here is reported when it is played."""

    def encode() -> None:
        with contextlib.suppress(LipkdError, OSError):
            opened = store(path)
            for clip in map(opened.clip, clip_ids):
                if isinstance(source_video(opened, clip, cache_folder()), NoVideo):
                    clip_video(opened, clip, cache_folder())

    _background().submit(encode)


@st.cache_resource
def _background() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="encode")


@st.cache_data(max_entries=200, show_spinner="Resampling the clips …")
def verdict(
    tracking_uri: str,
    a: Sequence[tuple[str, int | None]],
    b: Sequence[tuple[str, int | None]],
    _trials: Sequence[Trial],
) -> "tuple[MethodComparison | None, str]":
    """What `lipkd compare` finds, or None and why it refuses. The sides are run ids and best epochs; `_trials`
    holds the trials of both."""
    from dashboard.analysis.verdict import verdict as judge

    by_id = {trial.run_id: trial for trial in _trials}
    try:
        sides = [[by_id[run_id] for run_id, _ in side] for side in (a, b)]
        return judge(tracking_uri, *sides), ""
    except LipkdError as error:
        return None, str(error)


@st.cache_data(max_entries=32, show_spinner="Computing the importance of parameters …")
def importances(
    state: tuple[tuple[str, str, float | None], ...], _trials: Sequence[Trial]
) -> tuple[list[Importance], str]:
    """The importance of parameters over `_trials`, or none and why; `state` is all of them that it depends on."""
    from dashboard.analysis.importance import importances as compute

    try:
        return compute(_trials), ""
    except LipkdError as error:
        return [], str(error)


def forget() -> None:
    """Let the next rerun read everything that can change again."""
    sweeps.clear()
    trials.clear()
    _known_trials.clear()
