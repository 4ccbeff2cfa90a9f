"""Transcripts as the network sees them, in any language, and the two protocols under which errors are counted.

A network emits indices into an `Alphabet`: 0 is the CTC blank, 1… are the letters in order. The blank and the
space are different symbols. What an alphabet makes of a text (`letters`):

- NFC and lower case; where the alphabet has ı, I is ı and İ is i, as Turkish has them.
- A letter that the alphabet has stays. One that it lacks loses those marks (accents, Hebrew points, Arabic harakat)
  without which the alphabet has it, as few as possible; else its compatibility form is tried (ß is ss, ﬁ is fi, ™ is
  tm). One that still does not fit stays, so that `encode` can refuse it by name. Marks that are no accents, like the
  vowel signs of Devanagari, are letters.
- Apostrophes (' ’ ʼ ‘ `) are one, hyphens (- ‐ ‑) are one. These and other signs stay where the alphabet has them and a
  letter stands on both sides; everywhere else they are spaces, as all punctuation is.
- Invisible characters (joiners, soft hyphens, direction marks) and the stretch of Arabic words vanish.
- One space between words, none at the ends.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Literal

from lipkd.errors import LipkdError

Protocol = Literal["letters", "as-written"]
LETTERS = " abcdefghijklmnopqrstuvwxyz"
AUTO = "auto"  # as `data.alphabet`: the letters of the training transcripts
BLANK = 0
MOST_MARKS = 4  # on one letter, of which each subset is tried
# Spellings of one apostrophe and one hyphen. U+02BC and U+02BB count as letters in Unicode.
SAME_SIGN = str.maketrans(dict.fromkeys("’‘ʼʻ`´＇՚", "'") | dict.fromkeys("‐‑", "-"))
WIDTHS = re.compile(r"[\uff00-\uffef]+")  # full- and half-width forms
TATWEEL = "ـ"
ZERO_WIDTH_SPACE = "\u200b"  # separates words, though it is a format character


@lru_cache(maxsize=1 << 16)
def letters(text: str, characters: str = LETTERS) -> str:
    """What an alphabet of these characters makes of a text; letters that do not fit stay as they are."""
    return " ".join("".join(form for _, form in _forms(text, characters)).split())


def normalise(text: str, protocol: Protocol, characters: str = LETTERS) -> str:
    """The reference text under a protocol: `letters`, or as given (NFC) with single spaces."""
    if protocol == "letters":
        return letters(text, characters)
    return " ".join(unicodedata.normalize("NFC", text).split())


def letters_of(texts: Iterable[str]) -> str:
    """The alphabet `auto`: a space, and the letters, digits and marks of the texts in order of their code points.

    Compatibility forms count as what they stand for. I is taken for ı where any text has ı or İ.
    """
    plain = [unicodedata.normalize("NFKC", text) for text in texts]
    turkish = any(c in text for text in plain for c in "ıİ")
    found = {
        c
        for text in plain
        for cluster in _clusters(_lower(text, "ı" if turkish else ""))
        if cluster[0].isalnum()
        for c in cluster
    }
    return " " + "".join(sorted(found))


@dataclass(frozen=True)
class Alphabet:
    """The characters a network can say; index 0 is the blank, so there are len(characters) + 1 symbols."""

    characters: str = LETTERS

    def __post_init__(self) -> None:
        if self.characters == AUTO:
            raise LipkdError("alphabet 'auto': not resolved; its letters come from the clip store, which was not found")
        if len(set(self.characters)) != len(self.characters) or " " not in self.characters:
            raise LipkdError(f"alphabet {self.characters!r}: needs distinct characters, a space among them")
        if capitals := "".join(c for c in self.characters if c.lower() != c):
            raise LipkdError(f"alphabet {self.characters!r}: transcripts are lower case, so {capitals!r} never occur")

    @property
    def size(self) -> int:
        """Number of symbols V, the blank included."""
        return len(self.characters) + 1

    def letters(self, text: str) -> str:
        """What this alphabet makes of a text."""
        return letters(text, self.characters)

    def outside(self, text: str) -> str:
        """The characters of `letters(text)` that this alphabet lacks, sorted, each once."""
        return "".join(sorted(set(self.letters(text)) - set(self.characters)))

    def folded(self, text: str) -> list[tuple[str, str]]:
        """(letter in lower case, what it became) for each letter that the alphabet lacks and has a form of."""
        pairs = _forms(text, self.characters)
        return [(c, form) for c, form in pairs if c != form and form.strip() and set(form) <= set(self.characters)]

    def encode(self, text: str) -> list[int]:
        """Indices of `letters(text)`; raises LipkdError for a letter outside the alphabet."""
        if missing := self.outside(text):
            raise LipkdError(f"transcript {text!r}: {missing!r} not in the alphabet {self.characters!r}")
        return [self.characters.index(c) + 1 for c in self.letters(text)]

    def decode(self, indices: list[int]) -> str:
        """The text of symbol indices, blanks left out."""
        return "".join(self.characters[i - 1] for i in indices if i != BLANK)


def _lower(text: str, characters: str) -> str:
    text = unicodedata.normalize("NFC", WIDTHS.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text))
    if "ı" in characters:
        text = text.replace("I", "ı").replace("İ", "i")
    text = unicodedata.normalize("NFC", text.lower()).translate(SAME_SIGN)
    return "".join(c for c in text if c in characters or not _is_invisible(c))


def _is_invisible(character: str) -> bool:
    """Format characters, the grapheme joiner, variation selectors and the stretch of Arabic words."""
    if character in (TATWEEL, ZERO_WIDTH_SPACE):
        return character == TATWEEL
    return unicodedata.category(character) == "Cf" or character == "\u034f" or "\ufe00" <= character <= "\ufe0f"


def _clusters(text: str) -> list[str]:
    """Each character with the combining marks that follow it."""
    found: list[str] = []
    for c in text:
        if found and _is_mark(c):
            found[-1] += c
        else:
            found.append(c)
    return found


def _forms(text: str, characters: str) -> Iterator[tuple[str, str]]:
    """(cluster in lower case, what the alphabet makes of it) from end to end of a text."""
    clusters = _clusters(_lower(text, characters))
    for index, cluster in enumerate(clusters):
        if cluster[0].isalnum() or _is_mark(cluster[0]):
            form = _form(cluster, characters)
            yield cluster, cluster if form is None else form
        elif cluster[0] in characters:
            neighbours = clusters[max(index - 1, 0)][0], clusters[min(index + 1, len(clusters) - 1)][0]
            inside = all(c.isalnum() for c in neighbours)
            yield cluster, cluster[0] if inside else " "
        else:
            yield cluster, _form(cluster, characters) or " "


def _form(cluster: str, characters: str) -> str | None:
    """The cluster, else the nearest form of it that the alphabet has; None when it has none."""
    has = set(characters).issuperset
    if has(cluster):
        return cluster
    parts = unicodedata.normalize("NFD", cluster)
    accents = [index for index, c in enumerate(parts) if _is_accent(c)]
    counts = range(len(accents) + 1) if len(accents) <= MOST_MARKS else (len(accents),)
    for count in counts:
        for removed in combinations(reversed(accents), count):
            left = "".join(c for index, c in enumerate(parts) if index not in removed)
            for form in (unicodedata.normalize("NFC", left), left):
                if has(form):
                    return form
    plain = "".join(c for c in unicodedata.normalize("NFKD", cluster) if not _is_accent(c)).casefold()
    compatible = "".join(c if c.isalnum() or _is_mark(c) else " " for c in plain.translate(SAME_SIGN))
    return compatible if has(compatible) else None


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _is_accent(character: str) -> bool:
    """A mark that writing may leave out: accents (combining classes from 200), Hebrew points and Arabic harakat."""
    order = unicodedata.combining(character)
    return order >= 200 or 10 <= order <= 36 or order == 1


def least_frames(symbols: Sequence[int]) -> int:
    """Frames that CTC needs for a transcript: one per symbol, and a blank between equal neighbours."""
    return len(symbols) + sum(a == b for a, b in pairwise(symbols))
