"""The edits of a trial, clip by clip and peer by peer, counted once for all the comparisons that it takes part in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import jiwer
import numpy as np
from numpy.typing import NDArray

from lipkd.config.trial_config import TrialConfig
from lipkd.ctc.metrics import edits_in
from lipkd.errors import LipkdError
from lipkd.text import normalise

Rate = Literal["wer", "cer"]
Part = Literal["val", "test"]
PREDICTIONS: dict[Part, Literal["best", "test"]] = {"val": "best", "test": "test"}  # which file has which part's


class Readable(Protocol):
    """A trial that can be compared: a folder (`lipkd.trial.TrialFolder`), or what MLflow has kept of one. The methods
    give what that folder's methods of the same names give."""

    @property
    def name(self) -> str:
        """The trial's name, for messages."""

    def config(self) -> TrialConfig: ...

    def split(self) -> dict[str, Any]: ...

    def state(self) -> dict[str, Any]: ...

    def incomparable_reason(self) -> str:
        """Why it must not be compared with others; empty for one that may be."""

    def read_predictions(self, which: Literal["best", "test"] = "best") -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class ClipErrors:
    """Edits (peers, clips) and reference lengths (clips,) per rate; the clips in the order of their ids."""

    ids: tuple[str, ...]
    edits: dict[Rate, NDArray[np.float64]]
    lengths: dict[Rate, NDArray[np.float64]]


class ErrorTable:
    """Counts the edits of trials, each trial and part once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, Part], tuple[Readable, ClipErrors]] = {}

    def of(self, trial: Readable, part: Part) -> ClipErrors:
        """Raises LipkdError when the trial has no predictions of this part."""
        key = id(trial), part
        if key not in self._known:
            self._known[key] = trial, clip_errors(trial, part)  # with the trial, so that its id stays its own
        return self._known[key][1]


def clip_errors(trial: Readable, part: Part) -> ClipErrors:
    """Count the edits of every peer in every clip, under the protocol `letters`."""
    rows = sorted(trial.read_predictions(PREDICTIONS[part]), key=lambda row: str(row["id"]))
    if not rows:
        raise LipkdError(f"{trial.name} cannot be compared: it has no predictions of its {part} clips")
    characters = trial.config().data.alphabet
    truth = [normalise(row["reference"], "letters", characters) for row in rows]
    if empty := [row["id"] for row, text in zip(rows, truth, strict=True) if not text]:
        raise LipkdError(f"{trial.name} cannot be compared: the reference of clip {empty[0]} is empty")
    by_peer = zip(*(row["hypotheses"] for row in rows), strict=True)
    hypotheses = [[normalise(text, "letters", characters) for text in texts] for texts in by_peer]
    return ClipErrors(
        ids=tuple(str(row["id"]) for row in rows),
        edits={
            "wer": np.array([_edits(jiwer.process_words(truth, texts)) for texts in hypotheses], dtype=np.float64),
            "cer": np.array([_edits(jiwer.process_characters(truth, texts)) for texts in hypotheses], dtype=np.float64),
        },
        lengths={
            "wer": np.array([len(text.split()) for text in truth], dtype=np.float64),
            "cer": np.array([len(text) for text in truth], dtype=np.float64),
        },
    )


def _edits(aligned: jiwer.WordOutput | jiwer.CharacterOutput) -> list[int]:
    """Edits of every clip."""
    return [sum(map(edits_in, pieces)) for pieces in aligned.alignments]


def speakers_of(ids: Sequence[str]) -> list[str]:
    """The speaker of every clip, from its id `speaker/name`."""
    return [clip.rpartition("/")[0] or clip for clip in ids]
