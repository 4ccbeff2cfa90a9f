import math

import pytest
import torch

from lipkd.ctc.hypothesis import Hypothesis, Run, Word, runs, spoken_words
from lipkd.ctc.subtitles import Cue, cues, file_names, srt, vtt
from lipkd.text import Alphabet

SPACE, A, B, C = 1, 2, 3, 4


def posteriors_of(path: list[int], values: list[float]) -> torch.Tensor:
    """Each frame gives its symbol that much and shares out the rest."""
    table = torch.empty(len(path), 28)
    for frame, (symbol, value) in enumerate(zip(path, values, strict=True)):
        table[frame] = (1 - value) / 27
        table[frame, symbol] = value
    return table


def test_runs_of_a_path_by_hand() -> None:
    """-aab-a: a in frames 1 and 2, b in 3, after a blank a again in 5."""
    assert runs([0, A, A, B, 0, A]) == [Run(A, 1, 3), Run(B, 3, 4), Run(A, 5, 6)]
    assert runs([]) == runs([0, 0]) == []


def test_words_of_a_path_by_hand() -> None:
    """-aab-_c-: "ab" from frame 1 to 4 with spikes 0.9 and 0.4, "c" in frame 6."""
    path = [0, A, A, B, 0, SPACE, C, 0]
    posteriors = posteriors_of(path, [1, 0.5, 0.9, 0.4, 1, 0.3, 0.8, 1])
    first, second = spoken_words(path, posteriors, Alphabet(), fps=25.0)
    assert (first.text, first.start, first.end) == ("ab", 1 / 25, 4 / 25)
    assert (second.text, second.start, second.end) == ("c", 6 / 25, 7 / 25)
    assert first.confidence == pytest.approx(math.sqrt(0.9 * 0.4))
    assert second.confidence == pytest.approx(0.8)


def test_a_letter_twice_is_two_spikes() -> None:
    path = [A, 0, A]
    [word] = spoken_words(path, posteriors_of(path, [1.0, 1.0, 1.0]), Alphabet(), fps=10.0)
    assert word == Word("aa", 0.0, 0.3, 1.0)


@pytest.mark.parametrize("path", [[], [0, 0], [SPACE], [0, SPACE, 0]])
def test_silence_has_no_words(path: list[int]) -> None:
    assert spoken_words(path, posteriors_of(path, [1.0] * len(path)), Alphabet(), fps=25.0) == ()


def said(*words: tuple[str, float, float], seconds: float = 10.0) -> Hypothesis:
    timed = tuple(Word(text, start, end, 1.0) for text, start, end in words)
    return Hypothesis(" ".join(w.text for w in timed), 1.0, timed, seconds)


def test_subtitles_break_at_pauses_and_at_the_length_of_a_line() -> None:
    long = "x" * 40
    reading = said(("one", 0.2, 0.4), ("two", 0.5, 0.6), ("three", 2.0, 2.1), (long, 2.4, 6.0))
    assert cues(reading) == [
        Cue("one two", 0.2, 1.2),  # too short to read: stands for a second
        Cue("three", 2.0, 2.4),  # until the next one
        Cue(long, 2.4, 6.0),
    ]


def test_the_last_subtitle_ends_with_the_clip() -> None:
    assert cues(said(("late", 3.6, 3.8), seconds=4.0)) == [Cue("late", 3.6, 4.0)]
    assert cues(said()) == []


def test_srt_and_vtt_as_players_want_them() -> None:
    reading = said(("one", 0.2, 1.5), ("<b>", 3661.0, 3662.0), seconds=4000.0)
    assert srt(reading) == ("1\n00:00:00,200 --> 00:00:01,500\none\n\n2\n01:01:01,000 --> 01:01:02,000\n<b>\n")
    assert vtt(reading) == (
        "WEBVTT\n\n00:00:00.200 --> 00:00:01.500\none\n\n01:01:01.000 --> 01:01:02.000\n&lt;b&gt;\n"
    )
    assert (srt(said()), vtt(said())) == ("", "WEBVTT\n")


def test_subtitle_files_have_plain_distinct_names() -> None:
    names = file_names(["a/x.mp4", "b/x.mp4", "s1/0-bs", "pictures/", "../..", "c/x-2.mov", "dot.in.name.mp4"])
    assert names == ["x", "x-2", "0-bs", "pictures", "_", "x-2-2", "dot_in_name"]
    assert len(set(names)) == len(names)
