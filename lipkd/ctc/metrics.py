"""Error rates of hypotheses against references: counts first, rates as one-line views.

Corpus rates: total edits over total reference length, never the mean of per-clip rates. CER and WER
come from jiwer; BLEU is corpus BLEU over words (Papineni et al. 2002, uniform weights up to 4-grams)
with add-one smoothing of the orders above one (Lin & Och 2004), so that short sentences compare.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

from lipkd.text import LETTERS, Protocol, normalise


def error_rate(edits: float, length: int) -> float:
    """Edits over reference length; an empty reference, which scoring refuses, counts as one unit where it is shown."""
    return edits / max(length, 1)


def edits_in(piece: jiwer.AlignmentChunk) -> int:
    """Edits of a piece of an alignment: the longer of its sides, none where they are equal."""
    if piece.type == "equal":
        return 0
    return max(piece.ref_end_idx - piece.ref_start_idx, piece.hyp_end_idx - piece.hyp_start_idx)


@dataclass(frozen=True)
class EditCounts:
    """Edits and reference lengths, in words and in characters, and the rates that follow from them."""

    word_edits: int
    words: int
    char_edits: int
    chars: int

    @property
    def wer(self) -> float:
        return error_rate(self.word_edits, self.words)

    @property
    def cer(self) -> float:
        return error_rate(self.char_edits, self.chars)


@dataclass(frozen=True)
class ErrorCounts(EditCounts):
    """Counts summed over clips, sentences without an error, and BLEU."""

    right_sentences: int
    sentences: int
    bleu: float

    @property
    def sentence_accuracy(self) -> float:
        return self.right_sentences / self.sentences


def count_errors(
    references: Sequence[str], hypotheses: Sequence[str], protocol: Protocol = "letters", characters: str = LETTERS
) -> ErrorCounts:
    """Score hypotheses against references as given in the corpus.

    Under `letters` both sides are what an alphabet of `characters` makes of them (lipkd/text.py); under `as-written`
    the reference keeps its capitals and punctuation. Raises ValueError when there is nothing to score or
    a reference is empty.
    """
    truth = [normalise(text, protocol, characters) for text in references]
    hypothesis_texts = [normalise(text, protocol, characters) for text in hypotheses]
    if not truth or not all(truth):
        raise ValueError("references: need at least one, none of them empty")
    words = jiwer.process_words(truth, hypothesis_texts)
    chars = jiwer.process_characters(truth, hypothesis_texts)
    return ErrorCounts(
        word_edits=words.substitutions + words.deletions + words.insertions,
        words=words.hits + words.substitutions + words.deletions,
        char_edits=chars.substitutions + chars.deletions + chars.insertions,
        chars=chars.hits + chars.substitutions + chars.deletions,
        right_sentences=sum(a == b for a, b in zip(truth, hypothesis_texts, strict=True)),
        sentences=len(truth),
        bleu=corpus_bleu([t.split() for t in truth], [s.split() for s in hypothesis_texts]),
    )


def corpus_bleu(references: Sequence[list[str]], hypotheses: Sequence[list[str]], orders: int = 4) -> float:
    """BLEU of tokenised hypotheses against one reference each; 0 when no word matches, 1 when all are equal."""
    matches, totals = [0] * orders, [0] * orders
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        for n in range(1, orders + 1):
            found, true = _ngrams(hypothesis, n), _ngrams(reference, n)
            matches[n - 1] += sum((found & true).values())
            totals[n - 1] += sum(found.values())
    if matches[0] == 0:
        return 0.0
    smooth = [0] + [1] * (orders - 1)
    logs = [math.log((m + s) / (t + s)) for m, t, s in zip(matches, totals, smooth, strict=True)]
    hypothesis_length, true_length = sum(map(len, hypotheses)), sum(map(len, references))
    brevity = min(0.0, 1 - true_length / hypothesis_length)
    return math.exp(brevity + sum(logs) / orders)


def _ngrams(tokens: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
