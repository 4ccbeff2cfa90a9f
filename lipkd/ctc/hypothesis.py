"""What a network said of a clip: the text, how sure it was, and when each word was said."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from torch import Tensor

from lipkd.text import BLANK, Alphabet


@dataclass(frozen=True)
class Word:
    """A word, its time in seconds from the clip's begin, and how sure it is (0–1)."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Said:
    """The reading of one clip of so many `seconds`.

    `confidence` (0–1) is the text's likelihood per letter (lipkd.ctc.decode.confidences).
    """

    text: str
    confidence: float
    words: tuple[Word, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def spoken_words(symbols: Sequence[int], posteriors: Tensor, alphabet: Alphabet, fps: float) -> tuple[Word, ...]:
    """The words on a path: `symbols` (T,), one a frame, and the posteriors (T, V) of all symbols.

    CTC says that a letter was seen by this frame, not how long it lasted: a word begins with the spike of its first
    letter and ends with the spike of its last. Its confidence is the geometric mean of its letters' spikes.
    """
    words: list[Word] = []
    text, start, end, logs = "", 0, 0, 0.0

    def finish() -> None:
        if text:
            words.append(Word(text, start / fps, end / fps, math.exp(logs / len(text))))

    first = 0
    for symbol, run in groupby(symbols):
        after = first + len(list(run))
        letter = alphabet.decode([symbol])
        if letter == " ":
            finish()
            text, logs = "", 0.0
        elif symbol != BLANK:
            spike = float(posteriors[first:after, symbol].max())
            start = start if text else first
            text, end, logs = text + letter, after, logs + math.log(max(spike, 1e-12))
        first = after
    finish()
    return tuple(words)
