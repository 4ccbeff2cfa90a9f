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
from dashboard.shell.trial_choice import ChosenTrial, choose_a_and_b, trials_with_results
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
            chosen_trials = choose_a_and_b(labels)
            rates_of_each(chosen_trials)
        of_a_trial(part, chosen_trials)
    st.caption("Click a row or a cell to open its clips in Replay.")


def of_a_trial(part: str, chosen_trials: Sequence[ChosenTrial]) -> None:
    """What A (and B) have wrong."""
    a = chosen_trials[0]
    if part == "A against B":
        against(chosen_trials)
    elif part in ("letters", "mouth shapes"):
        confused(a, of_visemes=part == "mouth shapes")
    elif part == "words":
        words(a)
    else:
        rates(a, part)


def rates_of_each(chosen_trials: Sequence[ChosenTrial]) -> None:
    """Each trial in a sentence."""
    sentences = []
    for r in chosen_trials:
        wer, cer = corpus_rates(list(r.edits.values()))
        wrong = sum(c.word_edits > 0 for c in r.edits.values())
        sentences.append(
            f"{r.letter}, {r.output}: WER {percent(wer)}, CER {percent(cer)}; {wrong} of {len(r.edits)} clips have an "
            "error."
        )
    st.html(transcript_html.sentences(sentences))


def replay(**choices: Any) -> None:
    """Go to the clips: every filter that is not named is taken off, so that all of them are in the list."""
    for key, value in ({"find": "", "speakers": [], "show": ALL} | choices).items():
        st.session_state[key] = value
    st.switch_page("views/replay.py")


def confused(a: ChosenTrial, *, of_visemes: bool) -> None:
    """Letters or mouth shapes that were read as others: a map, and a list of the commonest."""
    of = VISEME_OF if of_visemes else None
    found = confusions.letter_confusions(a.edits.values(), of)
    if not found:
        st.success("Every letter is right.")
        return
    if text := confusions.letters_summary(confusions.letter_confusions(a.edits.values())):
        st.html(transcript_html.sentences([text]))
    left, right = st.columns([7, 4], gap="medium")
    with left:
        chart = charts.confusion_map(found, dark=page_frame.is_dark())
        event = st.altair_chart(
            chart, on_select="rerun", key=f"map {of_visemes}", alt="How often each was read as each other"
        )
        cells = event["selection"]["cell"]
        if cells:
            replay(find=confusions.search_for(Confusion(cells[0]["reference"], cells[0]["hypothesis"], 0)))
    with right:
        rows = pd.DataFrame(
            {"Reference": c.reference, "Hypothesis": c.hypothesis, "Count": c.count, "Kind": kind(c, of_visemes)}
            for c in found[:MOST]
        )
        if (at := clicked(rows, f"confusions {of_visemes}")) is not None:
            replay(find=confusions.search_for(found[at]))


def kind(confusion: Confusion, of_visemes: bool) -> str:
    """In a word or two, what kind of mistake a confusion is."""
    if confusion.reference == confusions.NOTHING:
        return "inserted"
    if confusion.hypothesis == confusions.NOTHING:
        return "deleted"
    shapes = [c if of_visemes else VISEME_OF.get(c, c) for c in (confusion.reference, confusion.hypothesis)]
    return "same mouth shape" if shapes[0] == shapes[1] else "other shape"


def words(a: ChosenTrial) -> None:
    rows = confusions.word_rows(a.edits.values())
    table = pd.DataFrame(rows).rename(
        columns={"word": "Word", "count": "Count", "wrong": "Wrong", "hypotheses": "Hypotheses"}
    )
    table["share"] *= 100
    number = {"share": st.column_config.NumberColumn("Wrong, %", format="%.0f %%")}
    if (at := clicked(table, "words", number)) is not None:
        replay(find=misread(rows[at]["word"]))


def rates(a: ChosenTrial, part: str) -> None:
    """Speakers or sentences, the worst first."""
    name = part.removesuffix("s")
    of = {
        clip: p.speaker if name == "speaker" else letters(p.reference, a.trial.alphabet)
        for clip, p in a.predictions.items()
    }
    rows = confusions.rates_by([(of[clip], edits) for clip, edits in a.edits.items()], name)
    table = pd.DataFrame(rows)
    table[["wer", "cer"]] *= 100
    columns: dict[str, Any] = {key: key.capitalize() for key in (name, "clips", "words")}
    columns |= {key: st.column_config.NumberColumn(key.upper(), format="%.1f %%") for key in ("wer", "cer")}
    columns["wrong"] = st.column_config.NumberColumn("Wrong clips")
    if (at := clicked(table, part, columns)) is not None:
        group = str(rows[at][name])
        replay(**({"speakers": [group]} if name == "speaker" else {"find": group}))


def against(chosen_trials: Sequence[ChosenTrial]) -> None:
    """Clips that A and B do not read equally well, what B lost first."""
    if len(chosen_trials) < 2:
        st.info(
            "Choose a trial B to list the clips on which it is worse or better than A.",
            icon=":material/compare_arrows:",
        )
        return
    a, b = chosen_trials
    rows = confusions.regressions(a.edits, b.edits, lambda clip: a.predictions[clip].reference)
    worse, better = sum(row["delta_wer"] > 0 for row in rows), sum(row["delta_wer"] < 0 for row in rows)
    both = sum(clip in b.edits for clip in a.edits)
    counts = f"Of the {both} clips of both, B is worse than A on {worse} and better on {better}."
    st.html(transcript_html.sentences([counts]))
    if not rows:
        return
    table = pd.DataFrame(rows)
    table[["wer_a", "wer_b", "delta_wer", "delta_cer"]] *= 100
    number = st.column_config.NumberColumn
    columns = {
        "clip": "Clip",
        "wer_a": number("WER A", format="%.0f %%"),
        "wer_b": number("WER B", format="%.0f %%"),
        "delta_wer": number("ΔWER", format="%+.0f", help="Points of B above A: above zero B is worse"),
        "delta_cer": number("ΔCER", format="%+.0f"),
        "reference": "Reference",
    }
    if (at := clicked(table, "regressions", columns)) is not None:
        replay(clip=str(rows[at]["clip"]), order="B worse than A")


def narrowed(labels: Mapping[str, Trial]) -> dict[str, Trial]:
    """The trials to count, the best first."""
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
    """Clips by how many of the trials have an error in them, the hardest first; in all there are `of` trials."""
    if not trials:
        st.info("No trial fits these filters.", icon=":material/filter_alt_off:")
        return
    with st.spinner("Collecting the hypotheses of the trials …"):
        answers = cache.best_peer_hypotheses(page_frame.tracking_uri(), list(trials.values()))
    found = dict(zip(trials, answers, strict=True))
    usable = {label: one for label, one in found.items() if not isinstance(one, LipkdError)}
    missing = {label: one for label, one in found.items() if isinstance(one, LipkdError)}
    if not usable:
        label, reason = next(iter(missing.items()))
        raise LipkdError(f"None of these trials can be shown. Trial {label}: {reason}.")
    rows = hard_clips.hard_clips(list(usable.values()))
    st.html(
        transcript_html.sentences(
            [*hard_clips.summary(rows, list(usable.values()), of), *hard_clips.unavailable(missing)]
        )
    )
    names = list(usable)
    table = pd.DataFrame(hard_clips.table_rows(rows, names))
    table[["mean", "lowest"]] *= 100
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    columns = {
        "clip": text("Clip", pinned=True),
        "wrong": number("Wrong", help="Trials with an error in it", width=64),
        "trials": number("of", help="Trials that were validated on it", width=48),
        "mean": number("Mean WER", format="%.0f %%", help="Over the trials", width=84),
        "lowest": number("Lowest", format="%.0f %%", help="The lowest WER of a trial on it", width=70),
        "reference": "Reference",
        "missed": text("Words missed", help="In so many trials"),
        "hypothesis": text("Hypothesis", help="The commonest wrong one, with its number of trials"),
        "best": text("Best trial", help="Of several with equal errors on it, the one with the lowest WER in all"),
    }
    if (at := clicked(table, "hardest", columns)) is not None:
        best = names[rows[at].best]
        replay(clip=rows[at].clip, a=best, output_a=usable[best].output, order="worst first")


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
