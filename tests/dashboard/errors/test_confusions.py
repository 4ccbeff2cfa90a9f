"""Mistakes, counted by hand."""

from dashboard.charts import charts
from dashboard.errors import confusions
from dashboard.errors.clip_filter import misread, search
from dashboard.errors.confusions import NOTHING, Confusion
from dashboard.errors.word_edits import clip_edits

RIGHT, LOOKALIKE, OTHER, SHORT, LONG = clip_edits(
    ["pin red", "pin red", "pin red", "pin red", "pin red"],
    ["pin red", "bin red", "tin red", "pin", "pin reds"],
)
EVERY = [RIGHT, LOOKALIKE, OTHER, SHORT, LONG]


def test_rates_of_groups_the_worst_first() -> None:
    """x: 1 of 4 words, 1 of 14 letters wrong; y: 1 of 2 words, 4 of 7 letters (a space, r, e, d)."""
    rows = confusions.rates_by([("x", RIGHT), ("x", LOOKALIKE), ("y", SHORT)], "speaker")
    assert [(r["speaker"], r["clips"], r["wrong"], r["words"], r["wer"], r["cer"]) for r in rows] == [
        ("y", 1, 1, 2, 0.5, 4 / 7),
        ("x", 2, 1, 4, 0.25, 1 / 14),
    ]


def test_words_and_their_wrong_hypotheses() -> None:
    rows = confusions.word_rows(EVERY)
    assert [(r["word"], r["count"], r["wrong"], r["hypotheses"]) for r in rows] == [
        ("pin", 5, 2, "bin (1), tin (1)"),
        ("red", 5, 2, f"{NOTHING} (1), reds (1)"),
    ]


def test_letters_that_are_substituted_deleted_or_inserted() -> None:
    found = confusions.letter_confusions(EVERY)
    assert {(c.reference, c.hypothesis): c.count for c in found} == {
        ("p", "b"): 1,
        ("p", "t"): 1,
        ("␣", NOTHING): 1,
        ("r", NOTHING): 1,
        ("e", NOTHING): 1,
        ("d", NOTHING): 1,
        (NOTHING, "s"): 1,
    }
    assert confusions.lookalike_share(found) == (1, 2)


def test_lookalikes_beside_deletions_and_insertions() -> None:
    """p is substituted by b and by t; r, e and d are deleted (and a space, which is no letter), s is inserted."""
    text = confusions.letters_summary(confusions.letter_confusions(EVERY))
    assert text.startswith("1 of 2 substituted letters (50.0 %) share the viseme (mouth shape) of their substitute: ")
    assert text.endswith("around distinguish these. Besides, 3 letters were deleted and 1 inserted.")
    assert confusions.letters_summary(confusions.letter_confusions([SHORT])) == "3 letters were deleted and 0 inserted."
    (one,) = clip_edits(["pin"], ["in"])
    assert confusions.letters_summary(confusions.letter_confusions([one])) == "1 letter was deleted and 0 inserted."
    assert confusions.letters_summary(confusions.letter_confusions([LOOKALIKE])).endswith("distinguish these.")
    assert confusions.letters_summary([]) == ""


def test_mouth_shapes() -> None:
    """p read as b stays in the shape `pbm`, p read as t goes to `tdn`."""
    found = confusions.letter_confusions([LOOKALIKE, OTHER, OTHER], confusions.VISEME_OF)
    assert found == [Confusion("pbm", "tdn", 2), Confusion("pbm", "pbm", 1)]


def test_every_confusion_finds_its_clips() -> None:
    for of in (None, confusions.VISEME_OF):
        for confusion in confusions.letter_confusions(EVERY, of):
            wish = search(confusions.search_for(confusion))
            assert wish is not None and sum(wish.found(c) for c in EVERY) == confusion.count, confusion


def test_every_row_of_the_words_finds_the_clips_in_which_it_is_wrong() -> None:
    """Each of these words is said once in a clip, so there are as many clips as mistakes."""
    for row in confusions.word_rows(EVERY):
        wish = search(misread(row["word"]))
        assert wish is not None and sum(wish.found(c) for c in EVERY) == row["wrong"] == 2, row


def test_regressions_the_worst_first_and_only_of_clips_that_both_have_read() -> None:
    a = {"one": RIGHT, "two": SHORT, "three": RIGHT, "four": OTHER, "only a": SHORT}
    b = {"one": LOOKALIKE, "two": RIGHT, "three": RIGHT, "four": LOOKALIKE, "only b": SHORT}
    rows = confusions.regressions(a, b, str.upper)
    assert [(r["clip"], r["delta_wer"], r["reference"]) for r in rows] == [("one", 0.5, "ONE"), ("two", -0.5, "TWO")]


def test_the_map_is_a_chart_with_cells_to_choose() -> None:
    spec = charts.confusion_map(confusions.letter_confusions(EVERY), dark=False).to_dict()
    assert spec["params"][0]["name"] == "cell" or "params" in spec["layer"][0]
