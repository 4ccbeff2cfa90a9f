import math
from pathlib import Path

import pytest

from lipkd.ctc.metrics import corpus_bleu, count_errors
from lipkd.text import letters


@pytest.mark.parametrize(
    ("reference", "hypothesis", "word_edits", "words", "char_edits", "chars"),
    [
        ("bin blue", "bin blue", 0, 2, 0, 8),
        ("bin blue", "bin red", 1, 2, 4, 8),  # blue → red: b, l deleted, u → r, e kept, d inserted
        ("bin blue", "", 2, 2, 8, 8),
        ("a", "a b c", 2, 1, 4, 1),  # insertions can push a rate above 1
    ],
)
def test_known_counts(
    reference: str, hypothesis: str, word_edits: int, words: int, char_edits: int, chars: int
) -> None:
    counts = count_errors([reference], [hypothesis])
    assert (counts.word_edits, counts.words, counts.char_edits, counts.chars) == (word_edits, words, char_edits, chars)


def test_rates_are_corpus_rates() -> None:
    counts = count_errors(["a", "b c d"], ["x", "b c d"])
    assert counts.wer == 1 / 4  # the mean of per-clip rates would be 1/2
    assert counts.sentence_accuracy == 1 / 2


def test_protocols() -> None:
    references, perfect = ["Perfetto, vorrei due."], ["perfetto vorrei due"]
    assert count_errors(references, perfect).wer == count_errors(references, perfect).cer == 0
    assert count_errors(references, perfect, "as-written").word_edits == 2
    assert count_errors(references, perfect, "as-written").char_edits == 3


def test_bleu_known_answers() -> None:
    sentence = ["a", "b", "c", "d", "e"]
    assert corpus_bleu([sentence], [sentence]) == 1
    assert corpus_bleu([sentence], [["x", "y"]]) == 0
    # one word said of two: 1-gram 1/1, higher orders (0+1)/(0+1); brevity exp(1 - 2/1)
    assert corpus_bleu([["a", "b"]], [["a"]]) == pytest.approx(math.exp(-1))


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(ValueError, match="references"):
        count_errors([], [])
    with pytest.raises(ValueError, match="references"):
        count_errors(["..."], ["a"])


def test_as_written_floor_of_the_italian_corpus(real_data: Path) -> None:
    """A perfect reading of the thesis's references scores WER 0.266 under its own protocol."""
    silence = {"sil", "sp"}
    references = [
        " ".join(w for w in (line.split()[2] for line in path.read_text().splitlines()) if w not in silence)
        for path in sorted((real_data / "italian" / "align").glob("*/*.align"))
    ]
    counts = count_errors(references, [letters(r) for r in references], "as-written")
    letters_only = count_errors(references, [letters(r) for r in references])
    assert len(references) == 466
    assert letters_only.wer == letters_only.cer == 0
    assert counts.wer == pytest.approx(0.266, abs=0.01)
    assert counts.cer == pytest.approx(0.046, abs=0.005)
