"""HTML of the transcripts: the marks, and nothing that a corpus could slip in."""

from dashboard.components.transcript_html import Row, hypothesis, legend, sentences, transcript_table
from dashboard.errors.word_edits import clip_edits


def test_marks_of_the_three_edits() -> None:
    (comparison,) = clip_edits(["the quick fox"], ["a quick high fox"])
    assert hypothesis(comparison) == (
        '<span class="w substitute"><i>the</i><b>a</b></span>'
        '<span class="w equal"><b>quick</b></span>'
        '<span class="w insert"><b>+high</b></span>'
        '<span class="w equal"><b>fox</b></span>'
    )


def test_silence_is_told() -> None:
    (comparison,) = clip_edits(["due"], [""])
    assert hypothesis(comparison) == '<span class="w delete"><b>due</b></span><em>(nothing)</em>'


def test_the_reference_comes_first_and_then_the_hypotheses() -> None:
    """The same two words in the table, in the key under it and in the player."""
    (comparison,) = clip_edits(["uno"], ["due"])
    page = transcript_table("uno", [Row("peer 0", comparison)])
    assert '<td class="who">reference</td><td class="text"><span data-testid="reference">uno</span>' in page
    assert '<span class="w substitute"><i>reference</i><b>substituted</b></span>' in legend()
    assert "<b>deleted</b>" in legend() and "<b>+inserted</b>" in legend()


def test_everything_foreign_is_escaped() -> None:
    (comparison,) = clip_edits(["x"], ["y"])
    page = transcript_table("<script>alert(1)</script>", [Row("<img src=x>", comparison)])
    assert "<script>" not in page and "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert sentences(["a <b> c"]) == '<p style="margin: 0 0 .35rem">a &lt;b&gt; c</p>'


def test_rates_stand_at_the_end_of_a_row() -> None:
    (comparison,) = clip_edits(["uno due"], ["uno tre"])
    page = transcript_table("uno due", [Row("peer 0", comparison, chosen=True)])
    assert '<tr class="chosen"><td class="who">peer 0</td>' in page
    assert '<td class="rate">WER 50.0 %</td>' in page
