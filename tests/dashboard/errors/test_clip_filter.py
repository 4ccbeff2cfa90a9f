"""Which clips are shown: kinds of errors, and searches for words and confusions."""

import pytest

from dashboard.errors.clip_filter import CHOICES, CHOICES_OF_TWO, belongs, misread, search
from dashboard.errors.word_edits import clip_edits
from lipkd.text import LETTERS

RIGHT, SUBSTITUTED, DELETED, INSERTED = clip_edits(
    ["pin red", "pin red", "pin red", "pin red"], ["pin red", "bin red", "red", "pin so red"]
)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("all clips", [True, True, True, True]),
        ("A wrong", [False, True, True, True]),
        ("A right", [True, False, False, False]),
        ("with a substitution", [False, True, False, False]),
        ("with a deletion", [False, False, True, False]),
        ("with an insertion", [False, False, False, True]),
    ],
)
def test_kinds_of_one_trial(kind: str, expected: list[bool]) -> None:
    assert kind in CHOICES
    assert [belongs(kind, a, None) for a in (RIGHT, SUBSTITUTED, DELETED, INSERTED)] == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("A right, B wrong", [False, True, False, False]),
        ("A wrong, B right", [True, False, False, False]),
        ("both wrong", [False, False, True, False]),
    ],
)
def test_kinds_of_two_trials(kind: str, expected: list[bool]) -> None:
    """The last clip has not been read by B."""
    pairs = [(SUBSTITUTED, RIGHT), (RIGHT, DELETED), (DELETED, INSERTED), (SUBSTITUTED, None)]
    assert kind in CHOICES_OF_TWO
    assert [belongs(kind, a, b) for a, b in pairs] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bin", [False, True, False, False]),
        ("red", [True, True, True, True]),
        ("pin red", [True, True, True, True]),
        ("bin red", [False, True, False, False]),
        ("in red", [False, False, False, False]),
        ("pin>bin", [False, True, False, False]),
        ("bin > pin", [False, False, False, False]),
        ("pin>", [False, False, True, False]),
        (">so", [False, False, False, True]),
        ("pin>*", [False, True, True, False]),
        ("red>*", [False, False, False, False]),
        (" * > bin ", [False, True, False, False]),
        ("*>so", [False, False, False, True]),
        ("*>*", [False, True, True, True]),
        ("/p>*", [False, True, True, False]),
        ("/*>s", [False, False, False, True]),
        ("/p>b", [False, True, False, False]),
        ("/pbm>bfv", [False, True, False, False]),
        ("/␣>", [False, False, True, False]),
        ("/>s", [False, False, False, True]),
        ("pi", [False, False, False, False]),
    ],
)
def test_searches(text: str, expected: list[bool]) -> None:
    wish = search(text)
    assert wish is not None
    assert [wish.found(comparison) for comparison in (RIGHT, SUBSTITUTED, DELETED, INSERTED)] == expected


@pytest.mark.parametrize("text", ["è", "È>e", "/è>e", "è>*"])
def test_a_search_keeps_the_letters_of_the_alphabet(text: str) -> None:
    italian = f"{LETTERS}è"
    right, wrong, other = clip_edits(["e no", "è no", "e no"], ["e no", "e no", "o no"], italian)
    wish = search(text, italian)
    assert wish is not None
    assert [wish.found(one) for one in (right, wrong, other)] == [False, True, False]


@pytest.mark.parametrize("text", ["", "  ", "/", ">", "/>", "!?", "*", "/*"])
def test_nothing_is_asked_for(text: str) -> None:
    assert search(text) is None


def test_a_word_that_was_misread_and_not_those_that_were_read_as_it() -> None:
    """`pin` was read as `bin` once and left out once; where `red` was read as `pin`, `pin` was not said."""
    (mistaken,) = clip_edits(["bin red"], ["bin pin"])
    wish = search(misread("pin"))
    assert wish is not None
    assert [wish.found(one) for one in (RIGHT, SUBSTITUTED, DELETED, INSERTED, mistaken)] == [
        *(False, True, True, False),
        False,
    ]
