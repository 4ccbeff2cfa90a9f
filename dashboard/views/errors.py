"""Errors: what a trial gets wrong, by speaker, sentence, word, letter and mouth shape, what B lost against A, and the
clips that all trials find hard."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cache
from dashboard.analysis.matched_pairs import groups
from dashboard.charts import charts
from dashboard.components import transcript_html
from dashboard.errors import confusions, hard_clips
from dashboard.errors.clip_filter import ALL, misread
from dashboard.errors.confusions import VISEME_OF, Confusion
from dashboard.errors.word_edits import corpus_rates
from dashboard.notation import percent
from dashboard.shell import page_frame, query_params
from dashboard.shell.trial_choice import Reader, choose_readers, trials_with_results
from dashboard.tracking.records import Trial
from lipkd.errors import LipkdError
from lipkd.text import letters

PARTS = ("letters", "mouth shapes", "words", "speakers", "sentences", "A against B", "hardest clips")
MOST = 40  # confusions that are listed
EVERY, FINISHED = "all trials", "finished trials"
MEDIUM = "the best 50"
AT_MOST = {"the best 10": 10, MEDIUM: 50, "the best 200": 200}


def page() -> None:
    labels = trials_with_results()
    if not labels:
        return
    whose = st.container()
    part = query_params.one_of(st.container(), "Errors by", PARTS, key="part", default=PARTS[0])
    if part == "hardest clips":
        with whose:
            chosen = narrowed(labels)
        over_trials(chosen, len(labels))
    else:
        with whose:
            readers = choose_readers(labels)
            summary(readers)
        of_a_trial(part, readers)
    st.caption("Click a row or a cell to see its clips in Replay.")


def of_a_trial(part: str, readers: Sequence[Reader]) -> None:
    """What A (and B) got wrong."""
    a = readers[0]
    if part == "A against B":
        against(readers)
    elif part in ("letters", "mouth shapes"):
        confused(a, of_visemes=part == "mouth shapes")
    elif part == "words":
        words(a)
    else:
        rates(a, part)


def summary(readers: Sequence[Reader]) -> None:
    """Each trial in a sentence."""
    told = []
    for r in readers:
        wer, cer = corpus_rates(list(r.now.values()))
        wrong = sum(c.word_edits > 0 for c in r.now.values())
        told.append(
            f"{r.letter}, {r.voice}: WER {percent(wer)}, CER {percent(cer)}; {wrong} of {len(r.now)} clips are not "
            "read word for word."
        )
    st.html(transcript_html.sentences(told))


def replay(**choices: Any) -> None:
    """Go to the clips: every filter that is not named is taken off, so that all of them are in the list."""
    for key, value in ({"find": "", "speakers": [], "show": ALL} | choices).items():
        st.session_state[key] = value
    st.switch_page("views/replay.py")


def confused(a: Reader, *, of_visemes: bool) -> None:
    """Letters or mouth shapes that were read as others: a map, and a list of the commonest."""
    of = VISEME_OF if of_visemes else None
    found = confusions.letter_confusions(a.now.values(), of)
    if not found:
        st.success("Every letter is right.")
        return
    if told := confusions.letters_told(confusions.letter_confusions(a.now.values())):
        st.html(transcript_html.sentences([told]))
    left, right = st.columns([7, 4], gap="medium")
    with left:
        chart = charts.confusion_map(found, dark=page_frame.is_dark())
        event = st.altair_chart(
            chart, on_select="rerun", key=f"map {of_visemes}", alt="How often each was read as each other"
        )
        cells = event["selection"]["cell"]
        if cells:
            replay(find=confusions.search_for(Confusion(cells[0]["said"], cells[0]["read"], 0)))
    with right:
        rows = pd.DataFrame(
            {"Said": c.said, "Read": c.read, "Times": c.times, "Kind": kind(c, of_visemes)} for c in found[:MOST]
        )
        if (at := clicked(rows, f"confusions {of_visemes}")) is not None:
            replay(find=confusions.search_for(found[at]))


def kind(confusion: Confusion, of_visemes: bool) -> str:
    """In a word or two, what kind of mistake a confusion is."""
    if confusion.said == confusions.NOTHING:
        return "put in"
    if confusion.read == confusions.NOTHING:
        return "left out"
    shapes = [c if of_visemes else VISEME_OF.get(c, c) for c in (confusion.said, confusion.read)]
    return "look alike" if shapes[0] == shapes[1] else "other shape"


def words(a: Reader) -> None:
    rows = confusions.word_rows(a.now.values())
    shown = pd.DataFrame(rows).rename(columns={"word": "Word", "said": "Said", "wrong": "Wrong", "read as": "Read as"})
    shown["share"] *= 100
    number = {"share": st.column_config.NumberColumn("Wrong, %", format="%.0f %%")}
    if (at := clicked(shown, "words", number)) is not None:
        replay(find=misread(rows[at]["word"]))


def rates(a: Reader, part: str) -> None:
    """Speakers or sentences, the worst first."""
    name = part.removesuffix("s")
    of = {clip: said.speaker if name == "speaker" else letters(said.reference) for clip, said in a.predictions.items()}
    rows = confusions.rates_by([(of[clip], comparison) for clip, comparison in a.now.items()], name)
    shown = pd.DataFrame(rows)
    shown[["wer", "cer"]] *= 100
    columns: dict[str, Any] = {key: key.capitalize() for key in (name, "clips", "words")}
    columns |= {key: st.column_config.NumberColumn(key.upper(), format="%.1f %%") for key in ("wer", "cer")}
    columns["wrong"] = st.column_config.NumberColumn("Wrong clips")
    if (at := clicked(shown, part, columns)) is not None:
        group = str(rows[at][name])
        replay(**({"speakers": [group]} if name == "speaker" else {"find": group}))


def against(readers: Sequence[Reader]) -> None:
    """Clips that A and B do not read equally well, what B lost first."""
    if len(readers) < 2:
        st.info(
            "Choose a trial B to see which clips it reads worse or better than A.", icon=":material/compare_arrows:"
        )
        return
    a, b = readers
    rows = confusions.regressions(a.now, b.now, lambda clip: a.predictions[clip].reference)
    worse, better = sum(row["delta_wer"] > 0 for row in rows), sum(row["delta_wer"] < 0 for row in rows)
    both = sum(clip in b.now for clip in a.now)
    told = f"Of {both} clips that both have read, B reads {worse} worse than A and {better} better."
    st.html(transcript_html.sentences([told]))
    if not rows:
        return
    shown = pd.DataFrame(rows)
    shown[["wer_a", "wer_b", "delta_wer", "delta_cer"]] *= 100
    number = st.column_config.NumberColumn
    columns = {
        "clip": "Clip",
        "wer_a": number("WER A", format="%.0f %%"),
        "wer_b": number("WER B", format="%.0f %%"),
        "delta_wer": number("ΔWER", format="%+.0f", help="Points of B above A: above zero B is worse"),
        "delta_cer": number("ΔCER", format="%+.0f"),
        "reference": "Said",
    }
    if (at := clicked(shown, "regressions", columns)) is not None:
        replay(clip=str(rows[at]["clip"]), order="B worse than A")


def narrowed(labels: Mapping[str, Trial]) -> dict[str, Trial]:
    """The trials that the reader wants to look at, the best first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state = query_params.select(st.container(), "Over", [EVERY, FINISHED], key="over", default=EVERY)
        options = groups(list(labels.values()))
        wanted = query_params.several(st.container(), "Methods", options, key="methods", placeholder="all")
        most = query_params.select(st.container(), "At most", list(AT_MOST), key="most", default=MEDIUM) or MEDIUM
    found = [
        (label, trial)
        for label, trial in labels.items()
        if (state == EVERY or trial.state == "finished") and (not wanted or trial.group in wanted)
    ]
    return dict(found[: AT_MOST[most]])


def over_trials(trials: Mapping[str, Trial], of: int) -> None:
    """Clips by how many of the trials have read them wrong, the hardest first; in all there are `of` trials."""
    if not trials:
        st.info("No trial fits these filters.", icon=":material/filter_alt_off:")
        return
    with st.spinner("Collecting what the trials read …"):
        answers = cache.readings(page_frame.tracking_uri(), [(t.run_id, t.best_epoch) for t in trials.values()])
    found = dict(zip(trials, answers, strict=True))
    read = {label: said for label, said in found.items() if not isinstance(said, LipkdError)}
    lacking = {label: said for label, said in found.items() if isinstance(said, LipkdError)}
    if not read:
        label, reason = next(iter(lacking.items()))
        raise LipkdError(f"None of these trials can be looked at. Trial {label}: {reason}.")
    rows = hard_clips.hard_clips(list(read.values()))
    st.html(transcript_html.sentences([*hard_clips.told(rows, list(read.values()), of), *hard_clips.left_out(lacking)]))
    names = list(read)
    shown = pd.DataFrame(hard_clips.table_rows(rows, names))
    shown[["mean", "lowest"]] *= 100
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    columns = {
        "clip": text("Clip", pinned=True),
        "wrong": number("Wrong", help="Trials that did not read it word for word", width=64),
        "read": number("of", help="Trials that have read it", width=48),
        "mean": number("Mean WER", format="%.0f %%", help="Over the trials", width=84),
        "lowest": number("Lowest", format="%.0f %%", help="WER of the trial that read it best", width=70),
        "reference": "Said",
        "missed": text("Words missed", help="In so many trials"),
        "hypothesis": text("Read as", help="The commonest wrong reading, by so many trials"),
        "best": text("Best read by", help="Of several that read it equally well, the one with the lowest WER in all"),
    }
    if (at := clicked(shown, "hardest", columns)) is not None:
        best = names[rows[at].best]
        replay(clip=rows[at].clip, a=best, voice_a=read[best].voice, order="worst first")


def clicked(rows: pd.DataFrame, key: str, columns: Mapping[str, Any] | None = None) -> int | None:
    """A table; the number of the row that was clicked (any of its cells), if one was."""
    event = st.dataframe(
        rows,
        hide_index=True,
        key=f"errors {key}",
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        height=min(38 + 35 * len(rows), 560),
        column_config=dict(columns or {}),
    )
    chosen = [*event["selection"]["rows"], *(row for row, _ in event["selection"]["cells"])]
    return int(chosen[0]) if chosen else None


if __name__ == "__main__":
    page_frame.show("Errors", page)
