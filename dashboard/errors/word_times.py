"""When words are said: from a clip's alignment, and from the posteriors of a peer."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.notation import visible
from lipkd.data.store import Clip
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


def spikes(posteriors: NDArray[np.float16], symbols: Sequence[str], seconds: float) -> list[tuple[float, str, float]]:
    """Where the best path of `posteriors` (T, V) says a symbol: middle of the likeliest frame of each run of equal
    symbols in seconds, the symbol (a space is `␣`), and its posterior there."""
    best = posteriors.argmax(-1)
    found = []
    edges = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)]
    for first, end in itertools.pairwise(edges):
        index = int(best[first])
        if index != BLANK:
            frame = first + int(posteriors[first:end, index].argmax())
            sure = float(posteriors[frame, index])
            found.append(((frame + 0.5) * seconds / len(best), visible(symbols[index]), sure))
    return found


def ensemble_of(posteriors: NDArray[np.float16]) -> NDArray[np.float16]:
    """Posteriors (T, V) of the ensemble from those of its peers (P, T, V): the softmax of the mean of their logits,
    which is their geometric mean, normalised."""
    logs = np.log(np.maximum(posteriors.astype(np.float32), 1e-8)).mean(0)
    values = np.exp(logs - logs.max(-1, keepdims=True))
    ensemble: NDArray[np.float16] = (values / values.sum(-1, keepdims=True)).astype(np.float16)
    return ensemble
