"""When words are said: alignments as given, and words on a best path."""

import numpy as np

from dashboard.errors.word_times import Spike, TimedWord, aligned_words, hypothesis_words, spikes
from lipkd.data.store import Clip

SYMBOLS = ("blank", " ", "a", "b")


def path(text: str) -> np.ndarray:
    """Posteriors whose best path is `text`, one frame a character, `-` for the blank."""
    rows = np.full((len(text), len(SYMBOLS)), 0.1, np.float16)
    for frame, character in enumerate(text):
        rows[frame, 0 if character == "-" else SYMBOLS.index(character)] = 0.7
    return rows


def test_alignment_in_seconds_without_silence() -> None:
    words = (("sil", 0, 5), ("Va", 5, 10), ("sp", 10, 11), ("bene.", 11, 25), ("sil", 25, 30))
    clip = Clip("s/1", "s", 0, 30, 25.0, "Va bene.", words, "s/1.mp4")
    assert aligned_words(clip) == (TimedWord("Va", 0.2, 0.4), TimedWord("bene.", 0.44, 1.0))


def test_words_of_a_best_path() -> None:
    """--ab-- b: `ab` in frames 2–3, `b` in frame 7, a tenth of a second each."""
    assert hypothesis_words(path("--ab-- b"), SYMBOLS, 0.8) == (
        TimedWord("ab", 0.2, 0.4),
        TimedWord("b", 0.7, 0.8),
    )


def test_repeats_merge_unless_a_blank_parts_them() -> None:
    said = hypothesis_words(path("aa-ab"), SYMBOLS, 5.0)
    assert said == (TimedWord("aab", 0.0, 5.0),)


def test_a_held_symbol_ends_with_its_last_frame() -> None:
    assert hypothesis_words(path("-aaa-"), SYMBOLS, 5.0) == (TimedWord("a", 1.0, 4.0),)


def test_blanks_and_spaces_say_nothing() -> None:
    assert hypothesis_words(path("- -- "), SYMBOLS, 1.0) == ()


def test_spikes_of_a_best_path() -> None:
    """-aa b: `a` in frames 1–2, the same in both, a space in 3, `b` in 4; a tenth of a second each."""
    posterior = float(np.float16(0.7))
    found = spikes(path("-aa b"), SYMBOLS, 0.5)
    assert [spike.symbol for spike in found] == ["a", "␣", "b"]
    assert found[0] == Spike("a", 0.1, 0.30000000000000004, 0.15000000000000002, posterior)
