"""Where a hypothesis differs from its reference, word by word, and how much that counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import jiwer

from dashboard.errors.word_alignment import align
from lipkd.ctc.metrics import EditCounts, edits_in, error_rate
from lipkd.text import LETTERS, letters

Kind = Literal["equal", "substitute", "delete", "insert"]


@dataclass(frozen=True)
class Edit:
    """One step of the word alignment; the side that has no word is empty."""

    kind: Kind
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class ClipEdits(EditCounts):
    """A hypothesis against its reference, both reduced to letters: the alignments of words and of letters, and
    counts of edits. Of the alignments of words with as few edits it is the one with the fewest edits of letters."""

    edits: tuple[Edit, ...]
    letter_edits: tuple[Edit, ...]


def clip_edits(references: Sequence[str], hypotheses: Sequence[str], characters: str = LETTERS) -> list[ClipEdits]:
    """Each hypothesis against its reference as given, under the protocol `letters` of an alphabet of `characters`."""
    if not references:
        return []
    sides = [letters(text, characters) for text in references], [letters(text, characters) for text in hypotheses]
    words, chars = jiwer.process_words(*sides), jiwer.process_characters(*sides)
    rows = zip(
        *(words.references, words.hypotheses, words.alignments),
        *(chars.references, chars.hypotheses, chars.alignments),
        strict=True,
    )
    return [
        ClipEdits(
            edits=_word_edits(steps, ref_words, hyp_words),
            letter_edits=tuple(edit for chunk in char_steps for edit in _edits(chunk, ref_chars, hyp_chars)),
            word_edits=sum(edits_in(chunk) for chunk in steps),
            words=len(ref_words),
            char_edits=sum(edits_in(chunk) for chunk in char_steps),
            chars=len(ref_chars),
        )
        for ref_words, hyp_words, steps, ref_chars, hyp_chars, char_steps in rows
    ]


def corpus_rates(comparisons: Sequence[ClipEdits]) -> tuple[float, float]:
    """WER and CER over several clips: all edits over all reference lengths."""
    return (
        error_rate(sum(c.word_edits for c in comparisons), sum(c.words for c in comparisons)),
        error_rate(sum(c.char_edits for c in comparisons), sum(c.chars for c in comparisons)),
    )


def _word_edits(steps: Sequence[jiwer.AlignmentChunk], reference: list[str], hypothesis: list[str]) -> tuple[Edit, ...]:
    """The alignment of jiwer, whose order of ties says nothing of the letters, where there is but one edit."""
    if sum(map(edits_in, steps)) < 2:
        return tuple(edit for chunk in steps for edit in _edits(chunk, reference, hypothesis))
    return tuple(Edit(_kind(a, b), a, b) for a, b in align(reference, hypothesis))


def _kind(reference: str, hypothesis: str) -> Kind:
    if reference == hypothesis:
        return "equal"
    return "substitute" if reference and hypothesis else "delete" if reference else "insert"


def _edits(chunk: jiwer.AlignmentChunk, reference: list[str], hypothesis: list[str]) -> list[Edit]:
    left = reference[chunk.ref_start_idx : chunk.ref_end_idx]
    right = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
    length = max(len(left), len(right))  # one side is empty in a deletion or an insertion
    pairs = zip(left or [""] * length, right or [""] * length, strict=True)
    return [Edit(cast(Kind, chunk.type), a, b) for a, b in pairs]
