"""Word times: of the reference from a clip's alignment, of a hypothesis from the posteriors of a peer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.notation import visible
from lipkd.ctc.hypothesis import runs, spoken_words
from lipkd.data.store import Clip
from lipkd.text import Alphabet

SILENCES = ("sil", "sp", "")


@dataclass(frozen=True)
class TimedWord:
    """A word and its time in seconds from the start of the clip."""

    text: str
    start: float
    end: float


def aligned_words(clip: Clip) -> tuple[TimedWord, ...]:
    """The reference's words in their order, without silences."""
    words = [(word, first, end) for word, first, end in clip.words if word.strip() not in SILENCES]
    return tuple(TimedWord(w.strip(), first / clip.fps, end / clip.fps) for w, first, end in words)


def hypothesis_words(
    posteriors: NDArray[np.floating[Any]], symbols: Sequence[str], seconds: float
) -> tuple[TimedWord, ...]:
    """The words on the best path of `posteriors` (T, V), T frames over `seconds`, by the rule of
    lipkd.ctc.hypothesis.spoken_words; `symbols` names the V columns, the blank first."""
    path, fps = posteriors.argmax(-1).tolist(), len(posteriors) / seconds
    words = spoken_words(path, posteriors, Alphabet("".join(symbols[1:])), fps)
    return tuple(TimedWord(word.text, word.start, word.end) for word in words)


@dataclass(frozen=True)
class Spike:
    """A run of one symbol on a best path, in seconds: from `start` to `end`, its likeliest frame's middle, and the
    posterior there. A space is written `␣`."""

    symbol: str
    start: float
    end: float
    middle: float
    posterior: float


def spikes(posteriors: NDArray[np.floating[Any]], symbols: Sequence[str], seconds: float) -> list[Spike]:
    """The spikes on the best path of `posteriors` (T, V), T frames over `seconds`."""
    step = seconds / len(posteriors)
    found = []
    for run in runs(posteriors.argmax(-1).tolist()):
        frame = run.first + int(posteriors[run.first : run.end, run.symbol].argmax())
        symbol, posterior = visible(symbols[run.symbol]), float(posteriors[frame, run.symbol])
        found.append(Spike(symbol, run.first * step, run.end * step, (frame + 0.5) * step, posterior))
    return found


def ensemble_of(posteriors: NDArray[np.float16]) -> NDArray[np.float16]:
    """Posteriors (T, V) of the ensemble from those of its peers (P, T, V): the softmax of the mean of their logits,
    which is their geometric mean, normalised."""
    logs = np.log(np.maximum(posteriors.astype(np.float32), 1e-8)).mean(0)
    values = np.exp(logs - logs.max(-1, keepdims=True))
    ensemble: NDArray[np.float16] = (values / values.sum(-1, keepdims=True)).astype(np.float16)
    return ensemble
