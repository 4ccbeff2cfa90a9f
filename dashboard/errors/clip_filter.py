"""Which clips a reader wants to see: by what a trial got wrong, by a word, by a confusion of words or letters.

A search has a reference side and a hypothesis side: `red` (a word of either), `bin red` (a sentence with these words),
`red>bed` (red substituted by bed), `red>` (deleted), `>bed` (inserted), `red>*` (red deleted or substituted), `*>bed`
(bed inserted or substituted for another word). After a slash come letters instead of words: `/p>b`, and `/pbm>fv` for
any of them; `␣` is the space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.errors.word_edits import ClipEdits, Edit
from lipkd.text import LETTERS, letters

ALL = "all clips"
ANY = "*"  # on a side of the arrow: any word or letter, or none
KINDS = {"with a substitution": "substitute", "with a deletion": "delete", "with an insertion": "insert"}
CHOICES = (ALL, "A wrong", "A right", *KINDS)
CHOICES_OF_TWO = (*CHOICES, "A right, B wrong", "A wrong, B right", "both wrong")


def belongs(kind: str, a: ClipEdits, b: ClipEdits | None) -> bool:
    """Whether a clip belongs to a kind of CHOICES_OF_TWO; without a hypothesis of B to none that compares A and B."""
    if kind in KINDS:
        return any(edit.kind == KINDS[kind] for edit in a.edits)
    if kind in ("A wrong", "A right"):
        return (a.word_edits > 0) == (kind == "A wrong")
    if kind in CHOICES_OF_TWO[len(CHOICES) :]:
        wanted = {"A right, B wrong": (False, True), "A wrong, B right": (True, False), "both wrong": (True, True)}[
            kind
        ]
        return b is not None and (a.word_edits > 0, b.word_edits > 0) == wanted
    return True


@dataclass(frozen=True)
class Search:
    """What a reader has written into the search field, parsed; with `arrow` both sides count. A side can be ANY."""

    of_letters: bool
    arrow: bool
    reference: str
    hypothesis: str

    def found(self, comparison: ClipEdits) -> bool:
        """Whether a hypothesis matches."""
        steps: Sequence[Edit] = comparison.letter_edits if self.of_letters else comparison.edits
        if " " in self.reference and not self.arrow and not self.of_letters:
            sides = ([e.reference for e in steps], [e.hypothesis for e in steps])
            return any(f" {self.reference} " in f" {' '.join(filter(None, side))} " for side in sides)
        if not self.arrow:
            return any(self._is(self.reference, e.reference) or self._is(self.reference, e.hypothesis) for e in steps)
        return any(
            e.kind != "equal" and self._side(self.reference, e.reference) and self._side(self.hypothesis, e.hypothesis)
            for e in steps
        )

    def _side(self, wanted: str, there: str) -> bool:
        if wanted == ANY:
            return True
        return self._is(wanted, there) if wanted else not there

    def _is(self, wanted: str, there: str) -> bool:
        return bool(there) and (there in wanted if self.of_letters else there == wanted)


def search(text: str, characters: str = LETTERS) -> Search | None:
    """The search of a text, in the letters of an alphabet of `characters`; None for a text without letters."""
    of_letters = text.strip().startswith("/")
    left, arrow, right = text.strip().removeprefix("/").partition(">")
    reference, hypothesis = (
        _side(side, of_letters, characters) if arrow else _text(side, of_letters, characters) for side in (left, right)
    )
    return Search(of_letters, bool(arrow), reference, hypothesis) if reference or hypothesis else None


def misread(word: str) -> str:
    """The search for the clips in which a word of the reference is deleted or substituted."""
    return f"{word}>{ANY}"


def _side(side: str, of_letters: bool, characters: str) -> str:
    return ANY if side.strip() == ANY else _text(side, of_letters, characters)


def _text(side: str, of_letters: bool, characters: str) -> str:
    """The words of one side; with `of_letters` its letters, spaces only where they are written as `␣`."""
    if not of_letters:
        return letters(side, characters)
    return letters(side.replace("␣", ""), characters).replace(" ", "") + (" " if "␣" in side else "")
