"""Transcripts as the network sees them, and the two protocols under which errors are counted.

A network emits indices into an `Alphabet`: 0 is the CTC blank, 1… are the letters in order. The
blank and the space are different symbols. `letters` is what a transcript looks like when only the
alphabet can be said: lower case, accents removed, everything else a single space.
"""

import unicodedata
from dataclasses import dataclass
from typing import Literal

from lipkd.errors import LipkdError

Protocol = Literal["letters", "as-written"]
LETTERS = " abcdefghijklmnopqrstuvwxyz"
BLANK = 0


def letters(text: str) -> str:
    """Lower case, accents stripped, punctuation and apostrophes to single spaces.

    Digits and letters of other scripts are kept, so that `Alphabet.encode` can refuse them by name.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() else " " for c in plain.casefold()).split())


def normalise(text: str, protocol: Protocol) -> str:
    """The reference text under a protocol: `letters`, or as given with single spaces."""
    return letters(text) if protocol == "letters" else " ".join(text.split())


@dataclass(frozen=True)
class Alphabet:
    """The characters a network can say; index 0 is the blank, so there are len(characters) + 1 symbols."""

    characters: str = LETTERS

    def __post_init__(self) -> None:
        if len(set(self.characters)) != len(self.characters) or " " not in self.characters:
            raise LipkdError(f"alphabet {self.characters!r}: needs distinct characters, a space among them")

    @property
    def size(self) -> int:
        """Number of symbols V, the blank included."""
        return len(self.characters) + 1

    def outside(self, text: str) -> str:
        """The characters of `letters(text)` that this alphabet lacks, sorted, each once."""
        return "".join(sorted(set(letters(text)) - set(self.characters)))

    def encode(self, text: str) -> list[int]:
        """Indices of `letters(text)`; raises LipkdError for a letter outside the alphabet."""
        if missing := self.outside(text):
            raise LipkdError(f"transcript {text!r}: {missing!r} not in the alphabet {self.characters!r}")
        return [self.characters.index(c) + 1 for c in letters(text)]

    def decode(self, indices: list[int]) -> str:
        """The text of symbol indices, blanks left out."""
        return "".join(self.characters[i - 1] for i in indices if i != BLANK)
