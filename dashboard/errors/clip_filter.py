"""Which clips a reader wants to see: by what a trial got wrong, by a word, by a confusion of words or letters.

A search is written as it is read: `red` (a word that was said or read), `bin red` (a sentence with these words),
`red>bed` (said red, read bed), `red>` (left out), `>bed` (put in), `red>*` (said red, and not read so: read as another
word or left out), `*>bed` (read bed where that was not said). Behind a slash stand letters instead of words: `/p>b`,
and `/pbm>fv` for any of them; `␣` is the space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.errors.word_edits import Comparison, Edit
from lipkd.text import letters

ALL = "all clips"
ANY = "*"  # on a side of the arrow: whatever stands there, nothing too
KINDS = {"with a substitution": "substitute", "with a deletion": "delete", "with an insertion": "insert"}
SHOWN = (ALL, "A wrong", "A right", *KINDS)
SHOWN_OF_TWO = (*SHOWN, "A right, B wrong", "A wrong, B right", "both wrong")


def shown(kind: str, a: Comparison, b: Comparison | None) -> bool:
    """Whether a clip belongs to a kind of SHOWN_OF_TWO; one that B has not read belongs to none of both."""
    if kind in KINDS:
        return any(edit.kind == KINDS[kind] for edit in a.edits)
    if kind in ("A wrong", "A right"):
        return (a.word_edits > 0) == (kind == "A wrong")
    if kind in SHOWN_OF_TWO[len(SHOWN) :]:
        wanted = {"A right, B wrong": (False, True), "A wrong, B right": (True, False), "both wrong": (True, True)}[
            kind
        ]
        return b is not None and (a.word_edits > 0, b.word_edits > 0) == wanted
    return True


@dataclass(frozen=True)
class Search:
    """What a reader has written into the search field, taken apart; `arrow` says that both sides count. A side can be
    ANY."""

    of_letters: bool
    arrow: bool
    said: str
    read: str

    def found(self, comparison: Comparison) -> bool:
        """Whether a hypothesis has what is looked for."""
        steps: Sequence[Edit] = comparison.letter_edits if self.of_letters else comparison.edits
        if " " in self.said and not self.arrow and not self.of_letters:
            sides = ([e.reference for e in steps], [e.hypothesis for e in steps])
            return any(f" {self.said} " in f" {' '.join(filter(None, side))} " for side in sides)
        if not self.arrow:
            return any(self._is(self.said, e.reference) or self._is(self.said, e.hypothesis) for e in steps)
        return any(
            e.kind != "equal" and self._side(self.said, e.reference) and self._side(self.read, e.hypothesis)
            for e in steps
        )

    def _side(self, wanted: str, there: str) -> bool:
        if wanted == ANY:
            return True
        return self._is(wanted, there) if wanted else not there

    def _is(self, wanted: str, there: str) -> bool:
        return bool(there) and (there in wanted if self.of_letters else there == wanted)


def search(text: str) -> Search | None:
    """The search that a text asks for; None when it asks for nothing."""
    of_letters = text.strip().startswith("/")
    left, arrow, right = text.strip().removeprefix("/").partition(">")
    said, read = (_side(side, of_letters) if arrow else _text(side, of_letters) for side in (left, right))
    return Search(of_letters, bool(arrow), said, read) if said or read else None


def misread(word: str) -> str:
    """The search for the clips in which a word was said and not read so."""
    return f"{word}>{ANY}"


def _side(side: str, of_letters: bool) -> str:
    return ANY if side.strip() == ANY else _text(side, of_letters)


def _text(side: str, of_letters: bool) -> str:
    return _letters(side) if of_letters else letters(side)


def _letters(side: str) -> str:
    """The letters of one side, spaces only where they are written as `␣`."""
    return letters(side.replace("␣", "")).replace(" ", "") + (" " if "␣" in side else "")
