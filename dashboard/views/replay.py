"""Replay: the hypotheses of trials on a validation clip, beside its video."""

import random
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard import cache
from dashboard.analysis.tables import ORDERS, clip_rows, ordered
from dashboard.charts import peer_charts
from dashboard.components import player, transcript_html
from dashboard.components.player import Line
from dashboard.errors import clip_filter
from dashboard.errors.word_times import TimedWord, aligned_words, hypothesis_words
from dashboard.shell import page_frame, query_params
from dashboard.shell.trial_choice import ChosenTrial, choose_a_and_b, trials_with_results
from dashboard.tracking.records import Trial
from lipkd.data.store import Clip, ClipStore
from lipkd.errors import LipkdError
from lipkd.text import letters

FPS = 25.0  # where the clip store is not there to say
AHEAD = 2  # clips that are encoded before they are asked for


def page() -> None:
    labels = trials_with_results()
    if not labels:
        return
    trials = choose_a_and_b(labels)
    rows = chosen_clips(trials)
    if not rows:
        st.info("No clip fits these filters.", icon=":material/filter_alt_off:")
        return
    left, right = st.columns([7, 4], gap="medium")  # on a narrow screen the player stands above the list
    with right:
        clip_id = choose_clip(rows, trials)
    with left:
        play(clip_id, [str(row["clip"]) for row in rows], trials)
    transcripts(clip_id, trials)


def chosen_clips(trials: Sequence[ChosenTrial]) -> list[dict[str, object]]:
    """The clips of trial A that fit the filters, in the chosen order."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        speakers = sorted({p.speaker for p in trials[0].predictions.values()})
        wanted = query_params.several(st.container(), "Speakers", speakers, key="speakers", placeholder="all")
        two = len(trials) > 1
        kinds = clip_filter.CHOICES_OF_TWO if two else clip_filter.CHOICES
        kind = query_params.select(st.container(), "Clips", kinds, key="show", default=kinds[0]) or kinds[0]
        text = query_params.text(
            st.container(),
            "Word or confusion",
            key="find",
            placeholder="red   red>bed   /p>b",
            help="`red`: in the reference or the hypothesis. `red>bed`: red substituted by bed. `red>`: red deleted. "
            "`>bed`: bed inserted. `red>*`: red deleted or substituted. `*>bed`: bed inserted or in place of another "
            "word. After a slash letters: `/p>b`, `/pbm>fv` for any of them, `␣` for the space.",
        )
        orders = ORDERS if two else [order for order in ORDERS if "B" not in order]
        order = query_params.select(st.container(), "Order", orders, key="order", default=orders[0]) or orders[0]
    a, b = trials[0].edits, trials[1].edits if two else {}
    wish = clip_filter.search(text, trials[0].trial.alphabet)
    predictions = [
        p
        for p in trials[0].predictions.values()
        if (not wanted or p.speaker in wanted)
        and clip_filter.belongs(kind, a[p.clip_id], b.get(p.clip_id))
        and (wish is None or wish.found(a[p.clip_id]))
    ]
    return ordered(clip_rows(predictions, [a[p.clip_id] for p in predictions], b), order)


def step(ids: Sequence[str], by: int) -> None:
    """Go along the list of clips, from its end to its start; 0 goes anywhere."""
    at = ids.index(st.session_state["clip"]) if st.session_state.get("clip") in ids else 0
    others = [clip_id for clip_id in ids if clip_id != ids[at]] or ids
    st.session_state["clip"] = ids[(at + by) % len(ids)] if by else random.choice(others)
    st.session_state["clip_table"] = st.session_state.get("clip_table", 0) + 1  # a fresh table, nothing chosen


def choose_clip(rows: Sequence[dict[str, object]], trials: Sequence[ChosenTrial]) -> str:
    """The clip to look at: from the menu, the table, or one step along the list."""
    ids = [str(row["clip"]) for row in rows]

    def take() -> None:
        if chosen := st.session_state[table]["selection"]["rows"]:
            st.session_state["clip"] = ids[chosen[0]]

    label = f"Clip, {len(ids)} in this list"
    clip_id = query_params.select(st.container(), label, ids, key="clip", default=ids[0]) or ids[0]
    with st.container(horizontal=True):
        st.button("Previous", icon=":material/skip_previous:", on_click=step, args=(ids, -1))
        st.button("Next", icon=":material/skip_next:", on_click=step, args=(ids, 1))
        st.button("Random", icon=":material/shuffle:", on_click=step, args=(ids, 0))
    table = f"clips {st.session_state.get('clip_table', 0)} {[r.trial.run_id for r in trials]}"
    table_rows = pd.DataFrame(rows)
    for name in ("wer_a", "wer_b"):
        table_rows[name] = 100 * table_rows[name].astype(float)
    columns = ["clip", "wer_a", *(["wer_b"] if len(trials) > 1 else []), "reference"]
    rate = st.column_config.NumberColumn
    name = "WER A" if len(trials) > 1 else "WER"
    st.dataframe(
        table_rows[columns],
        hide_index=True,
        height=min(38 + 35 * len(table_rows), 560),
        key=table,
        on_select=take,
        selection_mode="single-row",
        column_config={
            "clip": st.column_config.TextColumn("Clip", width=90),
            "wer_a": rate(name, format="%.0f %%", width=58),
            "wer_b": rate("WER B", format="%.0f %%", width=58),
            "reference": "Reference",
        },
    )
    return clip_id


def play(clip_id: str, ids: Sequence[str], trials: Sequence[ChosenTrial]) -> None:
    """The player, and under it what clip that is; without the clip store what can be table_rows without it."""
    opened = open_store(trials[0].trial)
    clip = opened.clip(clip_id) if opened else without_store(clip_id, trials)
    media = None
    if opened:
        digest = opened.meta["digest"]
        media = cache.media(str(opened.path), digest, clip_id)
        at = ids.index(clip_id)
        ahead = [ids[(at + 1 + i) % len(ids)] for i in range(min(AHEAD, len(ids) - 1))]
        cache.prepare_media(str(opened.path), digest, ahead)
    seconds = clip.n_frames / clip.fps
    data = player.player_data(
        clip_id,
        clip.n_frames,
        clip.fps,
        media,
        subtitles(clip, trials),
        [tracks(r, clip_id, seconds) for r in trials],
    )
    player.show(data, key="player", on_go=lambda where: step(ids, 1 if where == "next" else -1))
    for r in trials:
        peers_on(clip_id, r, seconds)
    if opened:
        frames = f"{clip.n_frames} frames at {clip.fps:g} per second"
        st.caption(page_frame.plain(f"{clip.id} · speaker {clip.speaker} · {frames}"))


def without_store(clip_id: str, trials: Sequence[ChosenTrial]) -> Clip:
    """What is known of a clip without its store: the reference, and as many frames as there are posteriors."""
    lengths = [kept[clip_id].shape[1] for kept in map(kept_posteriors, trials) if clip_id in kept]
    known = trials[0].predictions[clip_id]
    return Clip(clip_id, known.speaker, 0, max(lengths, default=1), FPS, known.reference, (), "")


def open_store(trial: Trial) -> ClipStore | None:
    """The trial's clip store, or the one that the reader names when it has moved."""
    moved: dict[str, str] = st.session_state.setdefault("moved", {})
    try:
        opened = cache.store(moved.get(trial.store_digest, trial.store))
    except LipkdError as error:
        st.warning(
            f"{page_frame.plain(str(error))} Without it there is no video; texts and posteriors are still available."
        )

        def remember() -> None:
            moved[trial.store_digest] = st.session_state["store path"]

        st.text_input("Where the clip store is now", key="store path", on_change=remember, placeholder="/path/to/store")
        return None
    if opened.meta["digest"] != trial.store_digest:
        where = page_frame.plain(str(opened.path))
        st.warning(f"The clip store {where} has changed since this trial was trained on it (its digest differs).")
    return opened


def subtitles(clip: Clip, trials: Sequence[ChosenTrial]) -> list[Line]:
    """Subtitles: the reference, then the hypothesis of each trial."""
    seconds = clip.n_frames / clip.fps
    lines = [Line("reference", clip.text, matching(clip.text, aligned_words(clip), trials[0].trial.alphabet))]
    for r in trials:
        if clip.id in r.predictions:
            text = r.text(clip.id)
            lines.append(
                Line(
                    r.letter if len(trials) > 1 else "hypothesis",
                    text,
                    matching(text, timed_words(r, clip.id, seconds), r.trial.alphabet),
                )
            )
    return lines


def matching(text: str, timed: tuple[TimedWord, ...], alphabet: str) -> tuple[TimedWord, ...]:
    """The timed words if they are the words of the text, else none: a subtitle never shows another text."""
    return timed if letters(" ".join(word.text for word in timed), alphabet) == letters(text, alphabet) else ()


def kept_posteriors(r: ChosenTrial) -> dict[str, NDArray[np.float16]]:
    """Per clip id the posteriors (P, T, V) of a trial's best epoch; empty when none were kept."""
    found = cache.posteriors(page_frame.tracking_uri(), r.trial.run_id, r.trial.best_epoch)
    return found.arrays if found else {}


def tracks(r: ChosenTrial, clip_id: str, seconds: float) -> dict[str, object]:
    """A trial's posteriors, words and spikes, for the player."""
    found = cache.posteriors(page_frame.tracking_uri(), r.trial.run_id, r.trial.best_epoch)
    array = found.arrays.get(clip_id) if found else None
    title = f"{r.letter} · {r.trial.name}"
    return player.trial_data(title, r.output, array, found.symbols if found else (), seconds)


def peers_on(clip_id: str, r: ChosenTrial, seconds: float) -> None:
    """Where the peers of a cohort spike on a clip, and in which frames they disagree; nothing for a single network."""
    found = cache.posteriors(page_frame.tracking_uri(), r.trial.run_id, r.trial.best_epoch)
    if found is None or clip_id not in found.arrays or len(found.arrays[clip_id]) < 2:
        return
    whose = f" · {r.letter}" if r.letter == "B" else ""
    key = f"peers {r.letter.lower()}"
    with st.expander(f"Peers on this clip{whose}", icon=":material/groups:", key=key, on_change="rerun") as folded:
        if not folded.open:
            return
        posteriors = found.arrays[clip_id]
        letters_of, divergence = peer_charts.peers_charts(
            peer_charts.divergence_rows(posteriors, seconds),
            peer_charts.spike_rows(posteriors, found.symbols, seconds),
            len(posteriors),
            seconds,
            dark=page_frame.is_dark(),
        )
        st.altair_chart(letters_of, alt="Letters of every peer over time")
        st.altair_chart(divergence, alt="Divergence of every peer from the others over time")
        st.caption(
            "Above, the letters of each peer. Below, how far (KL) its posteriors are from the others' in "
            "every frame: peaks beside each other are the same letter on different frames."
        )


def timed_words(r: ChosenTrial, clip_id: str, seconds: float) -> tuple[TimedWord, ...]:
    """The words of the chosen output with their times, if its posteriors were kept."""
    found = cache.posteriors(page_frame.tracking_uri(), r.trial.run_id, r.trial.best_epoch)
    if found is None or clip_id not in found.arrays:
        return ()
    return hypothesis_words(player.posteriors_of(found.arrays[clip_id], r.output), found.symbols, seconds)


def transcripts(clip_id: str, trials: Sequence[ChosenTrial]) -> None:
    """The reference and the hypothesis of every output, edits marked."""
    rows = []
    for r in trials:
        if clip_id not in r.predictions:
            st.caption(f"Trial {r.letter} has no hypothesis of this clip: it was not among its validation clips.")
            continue
        prefix = f"{r.letter} · " if len(trials) > 1 else ""
        rows += [
            transcript_html.Row(
                prefix + output, edits[clip_id], chosen=output == r.output and len(r.edits_by_output) > 1
            )
            for output, edits in r.edits_by_output.items()
        ]
    st.html(transcript_html.transcript_table(trials[0].predictions[clip_id].reference, rows))
    st.html(transcript_html.legend())


if __name__ == "__main__":
    page_frame.show("Replay", page)
