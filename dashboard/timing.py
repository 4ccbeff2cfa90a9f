"""When words are said: from a clip's alignment, and from the posteriors of a peer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipkd.store import Clip
from lipkd.text import BLANK

SILENCES = ("sil", "sp", "")


@dataclass(frozen=True)
class TimedWord:
    """A word and its time in seconds from the clip's begin."""

    text: str
    start: float
    end: float


def aligned_words(clip: Clip) -> tuple[TimedWord, ...]:
    """The clip's words in the order in which they are said; silences are left out."""
    words = [(word, first, end) for word, first, end in clip.words if word.strip() not in SILENCES]
    return tuple(TimedWord(w.strip(), first / clip.fps, end / clip.fps) for w, first, end in words)


def spoken_words(posteriors: NDArray[np.float16], symbols: Sequence[str], seconds: float) -> tuple[TimedWord, ...]:
    """The words on the best path of `posteriors` (T, V), T frames over `seconds`.

    CTC says that a symbol was seen by this frame, not how long it lasted: a word begins at the spike of
    its first letter and ends with the spike of its last.
    """
    step = seconds / len(posteriors)
    words: list[TimedWord] = []
    letters, start, end, previous = "", 0.0, 0.0, BLANK
    for frame, index in enumerate(posteriors.argmax(-1).tolist()):
        symbol = symbols[index]
        if index not in (BLANK, previous) and symbol != " ":
            start = start if letters else frame * step
            letters += symbol
        if symbol == " " and letters:
            words.append(TimedWord(letters, start, end))
            letters = ""
        elif index != BLANK:
            end = (frame + 1) * step
        previous = index
    return (*words, TimedWord(letters, start, end)) if letters else tuple(words)
