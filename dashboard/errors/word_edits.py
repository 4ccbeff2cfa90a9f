"""Where a hypothesis differs from its reference, word by word, and how much that counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import jiwer

from dashboard.errors.word_alignment import align
from lipkd.text import letters

Kind = Literal["equal", "substitute", "delete", "insert"]


@dataclass(frozen=True)
class Edit:
    """One step of the word alignment; the side that has no word is empty."""

    kind: Kind
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class Comparison:
    """A hypothesis against its reference, both reduced to letters: the alignments of words and of letters, and
    counts of edits. Of the alignments of words with as few edits it is the one with the fewest edits of letters."""

    edits: tuple[Edit, ...]
    letter_edits: tuple[Edit, ...]
    word_edits: int
    words: int
    char_edits: int
    chars: int

    @property
    def wer(self) -> float:
        return rate(self.word_edits, self.words)

    @property
    def cer(self) -> float:
        return rate(self.char_edits, self.chars)


def rate(edits: int, length: int) -> float:
    """Edits over reference length; an empty reference counts as one unit, so that the rate stays finite."""
    return edits / max(length, 1)


def compare_all(references: Sequence[str], hypotheses: Sequence[str]) -> list[Comparison]:
    """Each hypothesis against its reference as given, under the protocol `letters`."""
    if not references:
        return []
    truth, said = [letters(text) for text in references], [letters(text) for text in hypotheses]
    words, chars = jiwer.process_words(truth, said), jiwer.process_characters(truth, said)
    rows = zip(
        *(words.references, words.hypotheses, words.alignments),
        *(chars.references, chars.hypotheses, chars.alignments),
        strict=True,
    )
    return [
        Comparison(
            edits=_word_edits(steps, true_words, said_words),
            letter_edits=tuple(edit for chunk in char_steps for edit in _edits(chunk, true_chars, said_chars)),
            word_edits=sum(_count(chunk) for chunk in steps),
            words=len(true_words),
            char_edits=sum(_count(chunk) for chunk in char_steps),
            chars=len(true_chars),
        )
        for true_words, said_words, steps, true_chars, said_chars, char_steps in rows
    ]


def corpus_rates(comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """WER and CER over several clips: all edits over all reference lengths."""
    return (
        rate(sum(c.word_edits for c in comparisons), sum(c.words for c in comparisons)),
        rate(sum(c.char_edits for c in comparisons), sum(c.chars for c in comparisons)),
    )


def _word_edits(steps: Sequence[jiwer.AlignmentChunk], truth: list[str], said: list[str]) -> tuple[Edit, ...]:
    """The alignment of jiwer, whose order of ties says nothing of the letters, where there is but one edit."""
    if sum(map(_count, steps)) < 2:
        return tuple(edit for chunk in steps for edit in _edits(chunk, truth, said))
    return tuple(Edit(_kind(a, b), a, b) for a, b in align(truth, said))


def _kind(truth: str, said: str) -> Kind:
    if truth == said:
        return "equal"
    return "substitute" if truth and said else "delete" if truth else "insert"


def _edits(chunk: jiwer.AlignmentChunk, truth: list[str], said: list[str]) -> list[Edit]:
    left = truth[chunk.ref_start_idx : chunk.ref_end_idx]
    right = said[chunk.hyp_start_idx : chunk.hyp_end_idx]
    length = max(len(left), len(right))  # one side is empty in a deletion or an insertion
    pairs = zip(left or [""] * length, right or [""] * length, strict=True)
    return [Edit(cast(Kind, chunk.type), a, b) for a, b in pairs]


def _count(chunk: jiwer.AlignmentChunk) -> int:
    if chunk.type == "equal":
        return 0
    return max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
