"""What a trial gets wrong, counted: by speaker, by sentence, by word, by letter and by the shape of the mouth.

Letters that look alike on the lips share a viseme: p, b and m all close them, and no network that only sees
the mouth can tell them apart but by the words around. So a confusion within a viseme is another kind of mistake
than one across.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.errors.word_edits import ClipEdits
from dashboard.notation import percent, visible
from lipkd.ctc.metrics import error_rate
from preprocessing.synthetic.visemes import VISEMES

NOTHING = "∅"  # on the side of a confusion where there is no letter
VISEME_OF = {letter: letters for letters in VISEMES if letters.isalpha() for letter in letters}
MOST_HYPOTHESES = 3  # that are named for a word


@dataclass(frozen=True)
class Confusion:
    """A symbol of the reference and the symbol of the hypothesis in its place, with their count; NOTHING on a side is a
    deletion or an insertion."""

    reference: str
    hypothesis: str
    count: int


def rates_by(clips: Iterable[tuple[str, ClipEdits]], name: str) -> list[dict[str, Any]]:
    """A row per group (the first of each pair): `name`, clips, wrong clips, words, WER, CER; the worst first."""
    groups: dict[str, list[ClipEdits]] = defaultdict(list)
    for group, comparison in clips:
        groups[group].append(comparison)
    rows = [
        {
            name: group,
            "clips": len(members),
            "wrong": sum(c.word_edits > 0 for c in members),
            "words": sum(c.words for c in members),
            "wer": error_rate(sum(c.word_edits for c in members), sum(c.words for c in members)),
            "cer": error_rate(sum(c.char_edits for c in members), sum(c.chars for c in members)),
        }
        for group, members in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row["wer"], -row["cer"], row[name]))


def word_rows(comparisons: Iterable[ClipEdits]) -> list[dict[str, Any]]:
    """A row per word of the references: how often, how often wrong, its commonest hypotheses; the most errors first."""
    total: Counter[str] = Counter()
    wrong: dict[str, Counter[str]] = defaultdict(Counter)
    for comparison in comparisons:
        for edit in comparison.edits:
            if edit.reference:
                total[edit.reference] += 1
                if edit.kind != "equal":
                    wrong[edit.reference][edit.hypothesis or NOTHING] += 1
    rows = [
        {
            "word": word,
            "count": times,
            "wrong": wrong[word].total(),
            "share": wrong[word].total() / times,
            "hypotheses": ", ".join(f"{word} ({n})" for word, n in wrong[word].most_common(MOST_HYPOTHESES)),
        }
        for word, times in total.items()
    ]
    return sorted(rows, key=lambda row: (-row["wrong"], -row["share"], row["word"]))


def letter_confusions(comparisons: Iterable[ClipEdits], of: Mapping[str, str] | None = None) -> list[Confusion]:
    """Letters (or, with `of`, what it maps them to) that are substituted, deleted or inserted, the commonest first.
    With `of`, a confusion within one class is listed as the class with itself."""
    counts: Counter[tuple[str, str]] = Counter()
    for comparison in comparisons:
        for edit in comparison.letter_edits:
            if edit.kind != "equal":
                counts[_class(edit.reference, of), _class(edit.hypothesis, of)] += 1
    return [Confusion(*pair, times) for pair, times in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _class(letter: str, of: Mapping[str, str] | None) -> str:
    if not letter:
        return NOTHING
    return visible(letter) if of is None else of.get(letter, visible(letter))


def lookalike_share(confusions: Sequence[Confusion]) -> tuple[int, int]:
    """Of the substituted letters: how many look the same on the lips, and how many there are."""
    pairs = [c for c in confusions if c.reference in VISEME_OF and c.hypothesis in VISEME_OF]
    alike = sum(c.count for c in pairs if VISEME_OF[c.reference] == VISEME_OF[c.hypothesis])
    return alike, sum(c.count for c in pairs)


def letters_summary(confusions: Sequence[Confusion]) -> str:
    """In words: how many of the substituted letters share a mouth shape with their substitute, and how many were
    deleted and inserted. Empty when every letter is right; spaces are no letters."""
    alike, others = lookalike_share(confusions)
    out = sum(c.count for c in confusions if c.reference.isalnum() and c.hypothesis == NOTHING)
    more = sum(c.count for c in confusions if c.reference == NOTHING and c.hypothesis.isalnum())
    sentences = []
    if others:
        sentences.append(
            f"{alike} of {others} substituted letters ({percent(alike / others)}) share the viseme (mouth shape) of "
            "their substitute: p, b and m are one mouth shape, as are t, d and n, or f and v. Only the words around "
            "distinguish these."
        )
    if out or more:
        besides = "Besides, " if others else ""
        sentences.append(f"{besides}{out} letter{'s were' if out != 1 else ' was'} deleted and {more} inserted.")
    return " ".join(sentences)


def search_for(confusion: Confusion) -> str:
    """The search of `dashboard.errors.clip_filter` that finds the clips of a confusion of letters or of visemes."""
    sides = (confusion.reference, confusion.hypothesis)
    return "/" + ">".join("" if side == NOTHING else side for side in sides)


def regressions(
    a: Mapping[str, ClipEdits], b: Mapping[str, ClipEdits], reference: Callable[[str], str]
) -> list[dict[str, Any]]:
    """A row per clip of both with different errors: ΔWER and ΔCER of B against A, the worst for B first."""
    rows = [
        {
            "clip": clip,
            "wer_a": a[clip].wer,
            "wer_b": b[clip].wer,
            "delta_wer": b[clip].wer - a[clip].wer,
            "delta_cer": b[clip].cer - a[clip].cer,
            "reference": reference(clip),
        }
        for clip in a
        if clip in b and (a[clip].word_edits, a[clip].char_edits) != (b[clip].word_edits, b[clip].char_edits)
    ]
    return sorted(rows, key=lambda row: (-row["delta_wer"], -row["delta_cer"], row["clip"]))
