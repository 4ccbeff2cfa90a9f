"""Replay: what trials said on a validation clip, beside the video of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import cached, charts, links, markup, shell, webvtt
from dashboard.edits import Comparison, corpus_rates
from dashboard.records import Prediction, Trial
from dashboard.tables import ORDERS, clip_rows, ordered, percent
from dashboard.timing import TimedWord, aligned_words, spoken_words
from lipkd.errors import LipkdError
from lipkd.store import Clip, ClipStore
from lipkd.text import letters

SubtitleTracks = dict[str, str | Path | bytes | BytesIO]

SECONDS_PER_FRAME = 1 / 25  # where the clip store is not there to say


@dataclass(frozen=True)
class Reader:
    """A trial on this page, `A` or `B`, and the peer (or ensemble) of it that is looked at."""

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


def page() -> None:
    _, trials = shell.choose_sweep()
    labels = shell.trial_labels([trial for trial in trials if trial.best_epoch is not None])
    if not labels:
        st.info("No trial has predictions yet: they appear with the first epoch.", icon=":material/hourglass_empty:")
        return
    first, second, third, fourth = st.columns([5, 5, 3, 3])
    names = list(labels)
    a = links.select(first, "Trial A", names, key="a", default=names[0]) or names[0]
    b = links.select(second, "Trial B", names, key="b", default=None, placeholder="none")
    readers = [reader("A", labels[a])] + ([reader("B", labels[b])] if b else [])
    speakers = sorted({p.speaker for p in readers[0].predictions.values()})
    wanted = links.several(third, "Speakers", speakers, key="speakers", placeholder="all")
    orders = ORDERS if b else [order for order in ORDERS if "B" not in order]
    order = links.select(fourth, "Order", orders, key="order", default=orders[0]) or orders[0]
    rows = clip_rows(list(readers[0].predictions.values()), list(readers[0].now.values()), readers[1].now if b else {})
    rows = ordered([row for row in rows if not wanted or row["speaker"] in wanted], order)
    left, right = st.columns([9, 11], gap="medium")
    with left:
        clip_id = choose_clip(rows, readers)
    with right:
        clip = picture(clip_id, readers)
        transcripts(clip_id, readers)
    posterior_maps(clip_id, clip, readers)


def reader(letter: str, trial: Trial) -> Reader:
    """A trial with its predictions; raises LipkdError when it has none. The lowest WER speaks first."""
    uri = shell.tracking_uri()
    predictions = cached.predictions(uri, trial.run_id, trial.best_epoch)
    if not predictions:
        raise LipkdError(f"Trial {trial.name} has no predictions in MLflow yet; `lipkd sync` brings them in.")
    said = cached.comparisons(uri, trial.run_id, trial.best_epoch)
    ids = [prediction.clip_id for prediction in predictions]
    voices = sorted(said, key=lambda voice: (voice == "ensemble", corpus_rates(said[voice])))
    by_voice = [said[voice] for voice in voices]
    voice = voices[0]
    if len(voices) > 1:
        told = [f"WER {percent(wer)}, CER {percent(cer)}" for wer, cer in map(corpus_rates, by_voice)]
        key = f"voice_{letter.lower()}"
        voice = links.radio(st.sidebar.container(), f"Trial {letter}: who reads", voices, key=key, captions=told)
    by_clip = {name: dict(zip(ids, rows, strict=True)) for name, rows in said.items()}
    return Reader(letter, trial, dict(zip(ids, predictions, strict=True)), by_clip, voice)


def choose_clip(rows: Sequence[dict[str, object]], readers: Sequence[Reader]) -> str:
    """The clip to look at: from the menu, the table, or one step along the list."""
    ids = [str(row["clip"]) for row in rows]

    def step(by: int) -> None:
        at = ids.index(st.session_state["clip"]) if st.session_state.get("clip") in ids else 0
        st.session_state["clip"] = ids[(at + by) % len(ids)]
        st.session_state["clip_table"] = st.session_state.get("clip_table", 0) + 1  # a fresh table, nothing chosen

    def take() -> None:
        if chosen := st.session_state[table]["selection"]["rows"]:
            st.session_state["clip"] = ids[chosen[0]]

    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = f"Clip, {len(ids)} in this list"
        clip_id = links.select(st.container(), label, ids, key="clip", default=ids[0]) or ids[0]
        st.button("Previous", icon=":material/skip_previous:", on_click=step, args=(-1,))
        st.button("Next", icon=":material/skip_next:", on_click=step, args=(1,))
    table = f"clips {st.session_state.get('clip_table', 0)} {[r.trial.run_id for r in readers]}"
    shown = pd.DataFrame(rows)
    for name in ("wer_a", "wer_b"):
        shown[name] = 100 * shown[name].astype(float)
    columns = ["clip", "wer_a", *(["wer_b"] if len(readers) > 1 else []), "reference"]
    rate = st.column_config.ProgressColumn
    st.dataframe(
        shown[columns],
        hide_index=True,
        height=430,
        key=table,
        on_select=take,
        selection_mode="single-row",
        column_config={
            "clip": st.column_config.TextColumn("Clip", width="small"),
            "wer_a": rate(
                "WER A" if len(readers) > 1 else "WER", format="%.0f %%", min_value=0, max_value=100, width="small"
            ),
            "wer_b": rate("WER B", format="%.0f %%", min_value=0, max_value=100, width="small"),
            "reference": "Reference",
        },
    )
    return clip_id


def picture(clip_id: str, readers: Sequence[Reader]) -> Clip | None:
    """The video with its subtitles; a sentence and None when the clip store is not at hand."""
    trial = readers[0].trial
    opened = open_store(trial)
    if opened is None:
        return None
    clip = opened.clip(clip_id)
    video = cached.video(str(opened.path), opened.meta["digest"], clip_id)
    st.video(
        video,
        format="video/webm",
        subtitles=subtitles(clip, readers),
        loop=True,
        alt=f"Mouth of {clip.speaker}, clip {clip_id}",
    )
    frames = f"{clip.n_frames} frames at {clip.fps:g} per second"
    st.caption(shell.plain(f"{clip.id} · speaker {clip.speaker} · {frames}"))
    return clip


def open_store(trial: Trial) -> ClipStore | None:
    """The trial's clip store, or the one that the reader names when it has moved."""
    moved: dict[str, str] = st.session_state.setdefault("moved", {})
    try:
        opened = cached.store(moved.get(trial.store_digest, trial.store))
    except LipkdError as error:
        st.warning(
            f"{shell.plain(str(error))} Without it there is no video; texts and posteriors are here all the same."
        )

        def remember() -> None:
            moved[trial.store_digest] = st.session_state["store path"]

        st.text_input("Where the clip store is now", key="store path", on_change=remember, placeholder="/path/to/store")
        return None
    if opened.meta["digest"] != trial.store_digest:
        where = shell.plain(str(opened.path))
        st.warning(f"The clip store {where} has changed since this trial was trained on it (its digest differs).")
    return opened


def subtitles(clip: Clip, readers: Sequence[Reader]) -> SubtitleTracks:
    """Tracks by name, the first one is shown: all together, then each alone."""
    seconds = clip.n_frames / clip.fps
    lines = [webvtt.Line(clip.text, matching(clip.text, aligned_words(clip)), "reference")]
    for r in readers:
        if clip.id in r.predictions:
            timed = matching(r.text(clip.id), spoken(r, clip.id, seconds))
            lines.append(
                webvtt.Line(r.text(clip.id), timed, f"hypothesis {r.letter}" if len(readers) > 1 else "hypothesis")
            )
    alone: SubtitleTracks = {line.label: webvtt.track([webvtt.Line(line.text, line.timed)], seconds) for line in lines}
    return {"all": webvtt.track(lines, seconds)} | alone


def matching(text: str, timed: tuple[TimedWord, ...]) -> tuple[TimedWord, ...]:
    """The timed words if they are the words of the text, else none: a subtitle never shows another text."""
    return timed if letters(" ".join(word.text for word in timed)) == letters(text) else ()


def spoken(r: Reader, clip_id: str, seconds: float) -> tuple[TimedWord, ...]:
    """The words of the chosen peer with their times, if its posteriors were kept."""
    found = cached.posteriors(shell.tracking_uri(), r.trial.run_id, r.trial.best_epoch)
    if found is None or clip_id not in found.arrays or r.voice == "ensemble":
        return ()
    return spoken_words(found.arrays[clip_id][int(r.voice.removeprefix("peer "))], found.symbols, seconds)


def transcripts(clip_id: str, readers: Sequence[Reader]) -> None:
    """Reference and every hypothesis, edits marked."""
    rows = []
    for r in readers:
        if clip_id not in r.predictions:
            st.caption(f"Trial {r.letter} has not read this clip: it was not in its validation part.")
            continue
        prefix = f"{r.letter} · " if len(readers) > 1 else ""
        rows += [
            markup.Row(prefix + voice, said[clip_id], chosen=voice == r.voice and len(r.comparisons) > 1)
            for voice, said in r.comparisons.items()
        ]
    st.html(markup.transcript_table(readers[0].predictions[clip_id].reference, rows))
    st.html(markup.legend())


def posterior_maps(clip_id: str, clip: Clip | None, readers: Sequence[Reader]) -> None:
    """What the chosen peer saw in every frame, under the words and their times."""
    for r in readers:
        found = cached.posteriors(shell.tracking_uri(), r.trial.run_id, r.trial.best_epoch)
        if found is None or clip_id not in found.arrays:
            continue
        peer = 0 if r.voice == "ensemble" else int(r.voice.removeprefix("peer "))
        array = found.arrays[clip_id][peer]
        seconds = clip.n_frames / clip.fps if clip else len(array) * SECONDS_PER_FRAME
        words = {"reference": aligned_words(clip) if clip else (), "said": spoken_words(array, found.symbols, seconds)}
        st.subheader(f"Posteriors of {f'{r.letter}, ' if len(readers) > 1 else ''}peer {peer}")
        cells = charts.posterior_rows(array, found.symbols, seconds)
        chart = charts.posterior_map(cells, words, seconds, dark=shell.is_dark())
        st.altair_chart(chart, alt=f"Posteriors of peer {peer} over time")


if __name__ == "__main__":
    shell.show("Replay", page)
