import unicodedata
from typing import Literal

import pytest

from lipkd.errors import LipkdError
from lipkd.text import LETTERS, Alphabet, letters, letters_of, normalise


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Certo volentieri,  io lo prendero", "certo volentieri io lo prendero"),
        ("quell'articolo", "quell articolo"),
        ("Perché no?", "perche no"),
        ("Perche\u0301 no?", "perche no"),
        ("  Due.  ", "due"),
        ("...", ""),
        ("sì — 10", "si 10"),
        ("don’t", "don t"),
        ("well-known", "well known"),
        ("ﬁne Ｗｏｒｄ ™", "fine word tm"),
        ("straße İstanbul", "strasse istanbul"),
        ("ưới ế", "uoi e"),
    ],
)
def test_letters_known_answers(given: str, expected: str) -> None:
    assert letters(given) == expected


def test_the_protocol_of_published_results_stays_for_a_to_z() -> None:
    """What could be encoded before (NFKD, marks gone, case folded, the rest spaces) comes out as it did."""

    def published(text: str) -> str:
        plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        return " ".join("".join(c if c.isalnum() else " " for c in plain.casefold()).split())

    # Invisible characters vanish now, and apostrophes that Unicode counts as letters are spaces like the others.
    accents = [chr(c) for c in range(0x300, 0x370) if c != 0x34F]
    signs = [chr(c) for c in range(0x3000) if unicodedata.category(chr(c))[0] not in "CM"] + accents
    for sign in signs:
        text = f"A{sign}b {sign}c"
        if set(published(text)) <= set(LETTERS):
            assert letters(text) == published(text), ascii(sign)


LANGUAGES = {
    "english": ("I don't KNOW, 10 well-known…", "i don t know 10 well known"),
    "italian": ("Perché è così? L’università!", "perché è così l università"),
    "german": ("Die GROẞE Straße über", "die große straße über"),
    "russian": ("Ещё Йод, объём", "ещё йод объём"),
    "greek": ("ΟΔΟΣ, Άλφα· ψυχή", "οδος άλφα ψυχή"),
    "turkish": ("ISPARTA İstanbul kapı", "ısparta istanbul kapı"),
    "korean": ("안녕 하세요", "안녕 하세요"),
    "hindi": ("हिन्दी में क़िताब", unicodedata.normalize("NFC", "हिन्दी में क़िताब")),
    "arabic": ("مرحبا بالعالم", "مرحبا بالعالم"),
    "arabic with harakat": ("مَرْحَبًا", "مَرْحَبًا"),
    "vietnamese": ("Tiếng Việt ở đây", "tiếng việt ở đây"),
    "polish": ("Zażółć gęślą jaźń", "zażółć gęślą jaźń"),
    "thai": ("สวัสดี ครับ", "สวัสดี ครับ"),
    "hebrew": ("שָׁלוֹם", "שָׁלוֹם"),
    "ukrainian": ("П’ять її", "п ять її"),
    "japanese": ("ガラスが、ｶﾞ", "ガラスが ガ"),
}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_goes_round(language: str, form: Literal["NFC", "NFD"]) -> None:
    given, expected = LANGUAGES[language]
    expected = unicodedata.normalize("NFC", expected)
    written = unicodedata.normalize(form, given)
    alphabet = Alphabet(letters_of([written]))
    assert alphabet.letters(written) == expected
    assert alphabet.outside(written) == ""
    assert alphabet.decode(alphabet.encode(written)) == alphabet.letters(written)
    assert alphabet.letters(alphabet.letters(written)) == expected


def test_only_a_mark_that_the_alphabet_lacks_is_stripped() -> None:
    assert Alphabet(" eêt").letters("tế té tê") == "tê te tê"
    assert Alphabet(" и").outside("й") == "" and Alphabet(" a").outside("й") == "й"
    assert Alphabet(" مرحبا").letters("مَرْحَبًا") == "مرحبا"
    assert Alphabet(" e\u0301").letters("é") == "e\u0301"  # decomposed on purpose
    assert Alphabet(" कि").outside("की") == "ी"  # a vowel sign is no accent
    assert Alphabet(" σοδ").letters("ΟΔΟΣ") == "οδοσ"
    assert Alphabet(" straß").letters("Straße"[:5]) == "straß"


def test_what_was_folded_is_told() -> None:
    assert Alphabet().folded("Perché, straße! Don’t ABC") == [("é", "e"), ("ß", "ss")]
    assert Alphabet(" é").folded("é") == []
    assert Alphabet().folded("смех") == []  # does not fit at all


def test_signs_of_the_alphabet_are_kept_inside_words_only() -> None:
    alphabet = Alphabet(LETTERS + "'-")
    assert alphabet.letters("'Don’t' — un po’ well‑known, - rock 'n' roll") == "don't un po well-known rock n roll"


def test_invisible_characters_vanish() -> None:
    assert letters("\ufeffgo\u00adod\u200d mor\u200ening\u200bthere") == "good morning there"
    assert Alphabet(letters_of(["کتاب‌ها"])).letters("کتــاب‌ها") == "کتابها"


def test_auto_takes_the_letters_and_nothing_else() -> None:
    assert letters_of(["È l'ora, no?", "no 2"]) == " 2alnorè"
    assert "ı" not in letters_of(["ICE"])


def test_as_written_keeps_capitals_and_punctuation() -> None:
    assert normalise(" Vorrei  due. ", "as-written") == "Vorrei due."
    assert normalise("perche\u0301", "as-written") == "perché"


def test_blank_and_space_are_different_symbols() -> None:
    alphabet = Alphabet()
    assert alphabet.size == 28
    assert alphabet.encode("a b") == [2, 1, 3]
    assert alphabet.decode([0, 2, 0, 1, 3, 0]) == "a b"


def test_letter_outside_the_alphabet_is_named() -> None:
    with pytest.raises(LipkdError, match="'7'"):
        Alphabet().encode("take 7")


@pytest.mark.parametrize("characters", ["abc", " aab", " aB", "auto"])
def test_alphabet_needs_a_space_and_distinct_small_characters(characters: str) -> None:
    with pytest.raises(LipkdError, match="alphabet"):
        Alphabet(characters)
