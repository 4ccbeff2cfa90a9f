"""HTML of the transcripts: the marks, and nothing that a corpus could slip in."""

from dashboard.components.transcript_html import Row, hypothesis, legend, sentences, transcript_table
from dashboard.errors.word_edits import compare_all


def test_marks_of_the_three_edits() -> None:
    (comparison,) = compare_all(["the quick fox"], ["a quick high fox"])
    assert hypothesis(comparison) == (
        '<span class="w substitute"><i>the</i><b>a</b></span>'
        '<span class="w equal"><b>quick</b></span>'
        '<span class="w insert"><b>+high</b></span>'
        '<span class="w equal"><b>fox</b></span>'
    )


def test_silence_is_told() -> None:
    (comparison,) = compare_all(["due"], [""])
    assert hypothesis(comparison) == '<span class="w delete"><b>due</b></span><em>(nothing)</em>'


def test_said_is_the_person_and_read_the_network() -> None:
    """The same two words in the table, in the key under it and in the player."""
    (comparison,) = compare_all(["uno"], ["due"])
    page = transcript_table("uno", [Row("read", comparison)])
    assert '<td class="who">said</td><td class="said"><span data-testid="reference">uno</span>' in page
    assert '<span class="w substitute"><i>said</i><b>read</b></span>' in legend()
    assert "<b>left out</b>" in legend() and "<b>+put in</b>" in legend()


def test_everything_foreign_is_escaped() -> None:
    (comparison,) = compare_all(["x"], ["y"])
    page = transcript_table("<script>alert(1)</script>", [Row("<img src=x>", comparison)])
    assert "<script>" not in page and "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert sentences(["a <b> c"]) == '<p style="margin: 0 0 .35rem">a &lt;b&gt; c</p>'


def test_rates_stand_at_the_end_of_a_row() -> None:
    (comparison,) = compare_all(["uno due"], ["uno tre"])
    page = transcript_table("uno due", [Row("peer 0", comparison, chosen=True)])
    assert '<tr class="chosen"><td class="who">peer 0</td>' in page
    assert '<td class="rate">WER 50.0 %</td>' in page
