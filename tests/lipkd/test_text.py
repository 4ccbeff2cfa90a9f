import pytest

from lipkd.errors import LipkdError
from lipkd.text import Alphabet, letters, normalise


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Certo volentieri,  io lo prendero", "certo volentieri io lo prendero"),
        ("quell'articolo", "quell articolo"),
        ("Perché no?", "perche no"),
        ("  Due.  ", "due"),
        ("...", ""),
        ("sì — 10", "si 10"),
    ],
)
def test_letters_known_answers(given: str, expected: str) -> None:
    assert letters(given) == expected


def test_as_written_keeps_capitals_and_punctuation() -> None:
    assert normalise(" Vorrei  due. ", "as-written") == "Vorrei due."


def test_blank_and_space_are_different_symbols() -> None:
    alphabet = Alphabet()
    assert alphabet.size == 28
    assert alphabet.encode("a b") == [2, 1, 3]
    assert alphabet.decode([0, 2, 0, 1, 3, 0]) == "a b"


def test_letter_outside_the_alphabet_is_named() -> None:
    with pytest.raises(LipkdError, match="'7'"):
        Alphabet().encode("take 7")


@pytest.mark.parametrize("characters", ["abc", " aab"])
def test_alphabet_needs_a_space_and_distinct_characters(characters: str) -> None:
    with pytest.raises(LipkdError, match="alphabet"):
        Alphabet(characters)
