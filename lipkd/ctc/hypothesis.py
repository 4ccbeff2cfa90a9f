"""The hypothesis of a clip: the text, its confidence, and the time of each word."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lipkd.text import BLANK, Alphabet

if TYPE_CHECKING:  # the dashboard reads words off a path without loading torch
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Word:
    """A word, its time in seconds from the first frame, and its confidence (0–1)."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """The hypothesis of one clip of so many `seconds`.

    `confidence` (0–1) is the text's likelihood per letter (lipkd.ctc.decode.confidences).
    """

    text: str
    confidence: float
    words: tuple[Word, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Run:
    """A stretch of frames of one symbol on a path, from frame `first` to before frame `end`."""

    symbol: int
    first: int
    end: int


def runs(path: Sequence[int]) -> list[Run]:
    """The runs of a path (T,), one symbol a frame, without its blanks."""
    found, first = [], 0
    for symbol, frames in groupby(path):
        end = first + len(list(frames))
        if symbol != BLANK:
            found.append(Run(symbol, first, end))
        first = end
    return found


def spoken_words(
    symbols: Sequence[int], posteriors: "Tensor | NDArray[np.floating[Any]]", alphabet: Alphabet, fps: float
) -> tuple[Word, ...]:
    """The words on a path: `symbols` (T,), one a frame, and the posteriors (T, V) of all symbols.

    CTC says that a letter was seen by this frame, not how long it lasted: a word begins with the first frame of its
    first letter's run and ends with the last frame of its last letter's. Its confidence is the geometric mean of its
    letters' spikes, the highest posteriors of their runs.
    """
    words = []
    for is_space, letters in groupby(runs(symbols), key=lambda run: alphabet.decode([run.symbol]) == " "):
        if not is_space:
            word = list(letters)
            spikes = [float(posteriors[run.first : run.end, run.symbol].max()) for run in word]
            confidence = math.exp(sum(math.log(max(spike, 1e-12)) for spike in spikes) / len(spikes))
            text = alphabet.decode([run.symbol for run in word])
            words.append(Word(text, word[0].first / fps, word[-1].end / fps, confidence))
    return tuple(words)
