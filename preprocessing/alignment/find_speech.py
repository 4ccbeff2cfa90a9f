"""Where in the sound of a clip somebody speaks."""

import numpy as np
from numpy.typing import NDArray

from preprocessing.alignment.audio import RATE
from preprocessing.rejects import CannotAlign
from preprocessing.video.sound import Samples

STEP_SAMPLES = 220  # per level
STEP = STEP_SAMPLES / RATE  # seconds
PRE_EMPHASIS = 0.97  # rooms hum, consonants hiss
QUIETEST, LOUDEST = 10, 95  # percentiles of the levels: the room, and somebody speaking in it
DIGITAL_SILENCE = 2  # no sample is larger: muted, gated or not there, up to rounding; no room is that quiet
EDGE = 2  # steps beside digital silence: partly muted, or faded
QUIETEST_REAL = 1  # percentile of the levels that are neither
SHARE = 0.35  # of the way from the room to the speech, in dB: above it is speech
CONTRAST = 6.0  # dB between room and speech; less is no speech
SHORTEST = 0.08  # seconds; a shorter burst alone is a click
PAUSE = 0.4  # seconds; bursts that close together belong together
UTTERANCE = 0.2  # seconds of speech; less, apart from the rest, is a cough
LEAD, TRAIL = 0.04, 0.03  # seconds of soft sounds before and after what is loud enough


def find_speech(samples: Samples) -> tuple[float, float]:
    """Start and end of the speech, in seconds; raises CannotAlign when there is none.

    Bursts of sound well above the room's level, joined over short pauses; what is short and apart is
    left out.
    """
    powers = _powers(samples)
    if len(powers) == 0:
        raise CannotAlign("silence only", f"{len(samples) / RATE:.2f} s of sound")
    levels = _levels(powers)
    peaks = np.abs(samples[: len(powers) * STEP_SAMPLES].astype(int)).reshape(-1, STEP_SAMPLES).max(1)
    room, loud = _room(levels, peaks <= DIGITAL_SILENCE), np.percentile(levels, LOUDEST)
    if loud - room < CONTRAST:
        raise CannotAlign("silence only", f"no sound is {CONTRAST:.0f} dB above the room's noise")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], levels > room + SHARE * (loud - room), [0]])))
    utterances: list[list[float]] = []  # start, end, seconds above the threshold
    for start, end in edges.reshape(-1, 2) * STEP:
        if end - start < SHORTEST - STEP / 2:
            continue
        if utterances and start - utterances[-1][1] <= PAUSE:
            utterances[-1][1:] = [end, utterances[-1][2] + end - start]
        else:
            utterances.append([start, end, end - start])
    spoken = [utterance for utterance in utterances if utterance[2] >= UTTERANCE - STEP / 2]
    if not spoken:
        raise CannotAlign("silence only", f"no sound of {UTTERANCE} s or longer")
    return max(0.0, spoken[0][0] - LEAD), min(len(samples) / RATE, spoken[-1][1] + TRAIL)


def _room(levels: NDArray[np.float64], silent: NDArray[np.bool_]) -> float:
    """Level of the room, in dB. Where a tenth of a clip is muted, that tells nothing of it: then the quietest of
    what is sound does."""
    real = levels[np.convolve(silent, np.ones(2 * EDGE + 1))[EDGE:-EDGE] == 0]
    quietest = float(np.percentile(levels, QUIETEST))
    return max(quietest, float(np.percentile(real, QUIETEST_REAL))) if len(real) else quietest


def _powers(samples: Samples) -> NDArray[np.float64]:
    """Mean square of the pre-emphasised sound, one every STEP; +1 keeps its logarithm finite."""
    values = samples.astype(np.float64)
    values = np.append(values[:1], values[1:] - PRE_EMPHASIS * values[:-1])
    whole = values[: len(values) // STEP_SAMPLES * STEP_SAMPLES]
    powers: NDArray[np.float64] = (whole.reshape(-1, STEP_SAMPLES) ** 2).mean(1) + 1
    return powers


def _levels(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels in dB, smoothed over three steps."""
    padded = np.pad(powers, 1, "edge")
    smooth: NDArray[np.float64] = 10 * np.log10((padded[:-2] + padded[1:-1] + padded[2:]) / 3)
    return smooth
