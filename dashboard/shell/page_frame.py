"""What all pages share: the tracking address, the choice of a sweep, and one sentence instead of a stack trace."""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import cache
from dashboard.analysis.matched_pairs import clips_of, together
from dashboard.analysis.sweep_progress import initial_sweep
from dashboard.server_settings import TRACKING_VARIABLE
from dashboard.shell import query_params
from dashboard.tracking.records import NothingTracked, Sweep, Trial, public_uri
from lipkd.errors import LipkdError

FIRST_COMMAND = "lipkd sweep tuning/sweeps/demo.yaml"
# Streamlit's wide layout leaves 5rem on both sides, which tables need more than the eye does; on phones it leaves 1rem.
WIDER = ".stMainBlockContainer { padding-left: 2.5rem; padding-right: 2.5rem; }"
STYLE = f"<style>@media (min-width: 641px) {{ {WIDER} }}</style>"
PRIVATE = "private"  # of the session: what a page keeps until another page is opened
Named = TypeVar("Named")
log = logging.getLogger(__name__)


class NothingToShow(Exception):
    """There is nothing to show yet: what is missing, and the command that makes it."""

    def __init__(self, message: str, command: str) -> None:
        super().__init__(message)
        self.command = command


def show(title: str, body: Callable[[], None]) -> None:
    """Draw a page; wrong input is reported in a sentence, a fault of ours in the server's log."""
    st.html(STYLE)
    st.title(title)
    notice = st.container()
    if st.session_state.get(query_params.PAGE) != title:
        st.session_state.pop(PRIVATE, None)
    with query_params.address(title):
        try:
            body()
        except NothingToShow as missing:
            st.info(plain(str(missing)), icon=":material/info:")
            st.code(missing.command, language="bash")
        except LipkdError as error:
            st.error(plain(str(error)), icon=":material/error:")
        except Exception:
            log.exception("the page %s failed", title)
            st.error("This page failed because of a fault in lipkd; the dashboard's terminal has the traceback.")
    if unknown := [f"{key}={value}" for key, values in query_params.unknown_values().items() for value in values]:
        sentence = (
            f"The address asks for {', '.join(unknown)}, which does not exist: this page shows the default instead."
        )
        notice.warning(plain(sentence), icon=":material/link_off:")
    st.set_page_config(page_title=" · ".join(filter(None, [title, st.session_state.get("sweep"), "lipkd"])))


def tracking_uri() -> str:
    """Where the runs are; raises LipkdError when the dashboard was not started by `lipkd dashboard`."""
    if uri := os.environ.get(TRACKING_VARIABLE):
        return uri
    raise LipkdError(f"{TRACKING_VARIABLE} is not set: start the dashboard with `lipkd dashboard`.")


def choose_sweep() -> Sweep:
    """The sweep chosen in the sidebar; raises NothingToShow when there is none, or none of its trials has begun."""
    sweep, _, _ = _sidebar()
    _begun([sweep])
    return sweep


def choose_trials() -> tuple[str, list[Trial]]:
    """The trials of the sweep chosen in the sidebar and of those laid over it, the best first, and what they are called
    together. Raises NothingToShow as `choose_sweep` does."""
    sweep, by_label, place = _sidebar()
    others = [label for label, other in by_label.items() if other is not sweep]
    help_text = "Trials of several sweeps in one table and one chart."
    also = (
        query_params.several(place, "And trials of", others, key="also", placeholder="no other", help=help_text)
        if others
        else []
    )
    chosen = [sweep, *(by_label[label] for label in also)]
    trials = _begun(chosen)
    if also:
        trials = together(trials)
        if len({clips_of(trial) for trial in trials}) > 1:
            place.warning("These sweeps are validated on different clips, so their rates are not comparable.")
    return " and ".join(one.name for one in chosen), trials


def _begun(sweeps: Sequence[Sweep]) -> list[Trial]:
    """The trials of these sweeps, one sweep after the other."""
    lists = [cache.trials(tracking_uri(), sweep) for sweep in sweeps]
    if not any(lists):
        raise NothingToShow(
            f"The sweep {sweeps[0].name} has no trial yet; trials appear as they start. To bring in others:",
            "lipkd sync",
        )
    return lists[0] if len(lists) == 1 else [trial for trials in lists for trial in trials]


def _sidebar() -> tuple[Sweep, dict[str, Sweep], DeltaGenerator]:
    """The sweep that is chosen, all by their labels, and room below the choice."""
    uri = tracking_uri()
    by_label = sweeps_by_label()
    top, bottom = st.sidebar.container(), st.sidebar.container()
    bottom.button("Refresh", icon=":material/refresh:", on_click=cache.forget, help="Read MLflow again now.")
    bottom.caption(f"MLflow: {plain(public_uri(uri))}")
    if not by_label:
        raise NothingToShow("There is no sweep yet. This trains a small one on synthetic clips:", FIRST_COMMAND)
    names = list(by_label)
    first = names[0]
    if not query_params.has_option("sweep", names):
        opens = initial_sweep(list(by_label.values()), lambda sweep: cache.trials(uri, sweep))
        first = next(name for name in names if by_label[name] is opens)
    return by_label[query_params.select(top, "Sweep", names, key="sweep", default=first) or first], by_label, top


def sweeps_by_label() -> dict[str, Sweep]:
    """All sweeps by a label that is unique, the latest first; empty when nothing was ever tracked."""
    try:
        return labelled(cache.sweeps(tracking_uri()), lambda sweep: sweep.name, lambda sweep: sweep.experiment)
    except NothingTracked:
        return {}


def labelled(items: Iterable[Named], name: Callable[[Named], str], more: Callable[[Named], str]) -> dict[str, Named]:
    """Items by a label that is unique: the name, with `more` or a number behind it where names are equal."""
    items = list(items)
    names = Counter(map(name, items))
    labels: dict[str, Named] = {}
    for item in items:
        label = name(item) if names[name(item)] == 1 else f"{name(item)} ({more(item)})"
        number = 2
        while label in labels:
            label = f"{name(item)} ({more(item)}, {number})"
            number += 1
        labels[label] = item
    return labels


def trial_labels(trials: Sequence[Trial]) -> dict[str, Trial]:
    """Trials by unique label, in the order given."""
    return labelled(trials, lambda trial: trial.name, lambda trial: f"{trial.sweep}, {trial.run_id[:6]}")


def plain(text: str) -> str:
    """Text that Streamlit's Markdown shows as it is: names from a corpus or a server make no links or pictures."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def is_dark() -> bool:
    """Whether the reader has chosen the dark theme."""
    return st.context.theme.type == "dark"
