"""Subtitle tracks, letter by letter."""

from dashboard.timing import TimedWord
from dashboard.webvtt import Line, track


def test_an_untimed_line_stands_all_the_time() -> None:
    assert track([Line("va bene")], 2.0) == "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nva bene\n"


def test_the_word_being_said_is_bold() -> None:
    words = (TimedWord("va", 0.5, 1.0), TimedWord("bene", 1.25, 2.0))
    assert track([Line("va bene", words)], 2.0) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:00.500\nva bene\n\n"
        "00:00:00.500 --> 00:00:01.000\n<b>va</b> bene\n\n"
        "00:00:01.000 --> 00:00:01.250\nva bene\n\n"
        "00:00:01.250 --> 00:00:02.000\nva <b>bene</b>\n"
    )


def test_lines_change_at_the_cuts_of_both() -> None:
    lines = [Line("a", (TimedWord("a", 0.0, 1.0),), "reference"), Line("b", (TimedWord("b", 0.5, 2.0),), "A")]
    assert track(lines, 2.0) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:00.500\nreference: <b>a</b>\nA: b\n\n"
        "00:00:00.500 --> 00:00:01.000\nreference: <b>a</b>\nA: <b>b</b>\n\n"
        "00:00:01.000 --> 00:00:02.000\nreference: a\nA: <b>b</b>\n"
    )


def test_markup_and_cue_arrows_are_text() -> None:
    """A transcript cannot make markup, end its cue or begin another."""
    text = "<b onclick='x'>&\n\n00:00 --> 00:09\nWEBVTT"
    body = track([Line(text)], 1.0).split("\n", 3)[3]
    assert body == "&lt;b onclick='x'&gt;&amp; 00:00 --&gt; 00:09 WEBVTT\n"


def test_nothing_said_is_a_dash_and_not_an_empty_line() -> None:
    assert track([Line("", label="A")], 1.0).endswith("\nA: –\n")


def test_times_outside_the_clip_make_no_cue() -> None:
    words = (TimedWord("a", 0.5, 9.0),)
    assert track([Line("a", words)], 1.0).count("-->") == 2


def test_hours_and_thousandths() -> None:
    assert "00:00:00.000 --> 01:01:01.040" in track([Line("x")], 3661.04)
