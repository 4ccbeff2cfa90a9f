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
    levels = _levels(samples)
    if len(levels) == 0:
        raise CannotAlign("silence only", f"{len(samples) / RATE:.2f} s of sound")
    room, loud = np.percentile(levels, [QUIETEST, LOUDEST])
    if loud - room < CONTRAST:
        raise CannotAlign("silence only", f"nothing stands out by {CONTRAST:.0f} dB from the room's noise")
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


def _levels(samples: Samples) -> NDArray[np.float64]:
    """Level of the pre-emphasised sound in dB, one every STEP, smoothed over three; +1 keeps silence finite."""
    values = samples.astype(np.float64)
    values = np.append(values[:1], values[1:] - PRE_EMPHASIS * values[:-1])
    whole = values[: len(values) // STEP_SAMPLES * STEP_SAMPLES]
    powers = (whole.reshape(-1, STEP_SAMPLES) ** 2).mean(1) + 1
    if len(powers) == 0:
        return powers
    padded = np.pad(powers, 1, "edge")
    smooth: NDArray[np.float64] = 10 * np.log10((padded[:-2] + padded[1:-1] + padded[2:]) / 3)
    return smooth
