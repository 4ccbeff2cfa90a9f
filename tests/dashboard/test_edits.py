"""Word alignment and rates, against answers worked out by hand."""

from dashboard.edits import Edit, compare_all, corpus_rates


def test_every_kind_of_edit_in_its_place() -> None:
    """The quick brown fox jumps / a quick fox jumps high: one word replaced, one left out, one too many."""
    (comparison,) = compare_all(["The quick brown fox jumps."], ["a quick fox jumps high"])
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


def test_characters_are_counted_with_spaces() -> None:
    """ "ab cd" against "ab ed": one of five characters, one of two words."""
    (comparison,) = compare_all(["ab cd"], ["ab ed"])
    assert (comparison.char_edits, comparison.chars) == (1, 5)
    assert (comparison.wer, comparison.cer) == (0.5, 0.2)


def test_capitals_accents_and_punctuation_are_no_errors() -> None:
    (comparison,) = compare_all(["Perché no?"], ["perche no"])
    assert comparison.word_edits == comparison.char_edits == 0


def test_said_nothing_and_nothing_to_say() -> None:
    silent, noisy, both = compare_all(["due parole", "", ""], ["", "una", ""])
    assert [edit.kind for edit in silent.edits] == ["delete", "delete"]
    assert silent.wer == 1.0
    assert noisy.edits == (Edit("insert", "", "una"),)
    assert noisy.wer == 1.0
    assert (both.edits, both.wer) == ((), 0.0)


def test_a_corpus_rate_is_no_mean_of_rates() -> None:
    """One error in one word and none in three: 1 of 4 words, not the mean of 1 and 0."""
    found = compare_all(["ja", "uno due tre"], ["na", "uno due tre"])
    assert corpus_rates(found) == (0.25, 1 / 13)


def test_no_clips() -> None:
    assert compare_all([], []) == []
