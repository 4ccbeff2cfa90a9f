"""Word alignment and rates, against answers worked out by hand."""

import random

import jiwer
import pytest

from dashboard.errors.word_edits import Edit, clip_edits, corpus_rates
from lipkd.text import LETTERS


def test_every_kind_of_edit_in_its_place() -> None:
    """The quick brown fox jumps / a quick fox jumps high: one word replaced, one left out, one too many."""
    (comparison,) = clip_edits(["The quick brown fox jumps."], ["a quick fox jumps high"])
    assert comparison.edits == (
        Edit("substitute", "the", "a"),
        Edit("equal", "quick", "quick"),
        Edit("delete", "brown", ""),
        Edit("equal", "fox", "fox"),
        Edit("equal", "jumps", "jumps"),
        Edit("insert", "", "high"),
    )
    assert (comparison.word_edits, comparison.words) == (3, 5)
    assert comparison.wer == 0.6


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        # 1 letter left out and 4 read as others; c as nivne and seven left out would be 5 and 5.
        ("by c seven", "by nivne", [("by", "by"), ("c", ""), ("seven", "nivne")]),
        # In the other direction the same word is put in.
        ("by nivne", "by c seven", [("by", "by"), ("", "c"), ("nivne", "seven")]),
        # Two edits: `bin` left out and `so` put in, 5 letters, against 3 and 3 for two replaced words.
        ("bin red", "red so", [("bin", ""), ("red", "red"), ("", "so")]),
        # Three edits in any case; 3 letters, 1 and 2, while `set` or `white` left out makes 11.
        ("set white at", "a whit", [("set", "a"), ("white", "whit"), ("at", "")]),
        # Either `red` may be the one that was left out: it is the later one.
        ("red red lay", "red", [("red", "red"), ("red", ""), ("lay", "")]),
    ],
)
def test_of_alignments_with_as_many_word_edits_the_one_with_the_fewest_letters(
    reference: str, hypothesis: str, expected: list[tuple[str, str]]
) -> None:
    (comparison,) = clip_edits([reference], [hypothesis])
    assert [(edit.reference, edit.hypothesis) for edit in comparison.edits] == expected


def test_an_alignment_has_all_words_in_order_and_as_many_edits_as_the_rate() -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices(["a", "at", "bat", "bad", "red"], k=rng.randrange(7))) for _ in range(400)]
    truth, said = texts[:200], texts[200:]
    for one, other, found in zip(truth, said, clip_edits(truth, said), strict=True):
        assert " ".join(edit.reference for edit in found.edits if edit.reference) == one
        assert " ".join(edit.hypothesis for edit in found.edits if edit.hypothesis) == other
        output = jiwer.process_words(one, other)
        fewest = output.substitutions + output.deletions + output.insertions
        assert sum(edit.kind != "equal" for edit in found.edits) == found.word_edits == fewest


def test_characters_are_counted_with_spaces() -> None:
    """ "ab cd" against "ab ed": one of five characters, one of two words."""
    (comparison,) = clip_edits(["ab cd"], ["ab ed"])
    assert (comparison.char_edits, comparison.chars) == (1, 5)
    assert (comparison.wer, comparison.cer) == (0.5, 0.2)


def test_capitals_accents_and_punctuation_are_no_errors() -> None:
    (comparison,) = clip_edits(["Perché no?"], ["perche no"])
    assert comparison.word_edits == comparison.char_edits == 0


def test_a_letter_of_the_alphabet_is_no_accent() -> None:
    """With è in the alphabet è and e are two letters: one of two words, one of four characters."""
    (comparison,) = clip_edits(["È no"], ["e no"], f"{LETTERS}è")
    assert (comparison.wer, comparison.cer) == (0.5, 0.25)


def test_said_nothing_and_nothing_to_say() -> None:
    silent, noisy, both = clip_edits(["due parole", "", ""], ["", "una", ""])
    assert [edit.kind for edit in silent.edits] == ["delete", "delete"]
    assert silent.wer == 1.0
    assert noisy.edits == (Edit("insert", "", "una"),)
    assert noisy.wer == 1.0
    assert (both.edits, both.wer) == ((), 0.0)


def test_a_corpus_rate_is_no_mean_of_rates() -> None:
    """One error in one word and none in three: 1 of 4 words, not the mean of 1 and 0."""
    found = clip_edits(["ja", "uno due tre"], ["na", "uno due tre"])
    assert corpus_rates(found) == (0.25, 1 / 13)


def test_no_clips() -> None:
    assert clip_edits([], []) == []
