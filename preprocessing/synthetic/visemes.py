"""What the mouth does for each letter, and how one letter flows into the next.

Every letter aims at a shape of the mouth (a viseme). Letters that look alike in reality share one:
p, b, m close the lips, f and v put the lower lip under the teeth, and so on. Between letters the
mouth follows the dominance model of Cohen & Massaro (1993): each letter pulls with its own strength,
most at its middle, and the shape is the weighted mean of all pulls.
"""

import numpy as np
from numpy.typing import NDArray

from preprocessing.synthetic.sentences import REST, Spoken

# Columns: how far open; how wide (relative); how rounded; upper teeth shown; tongue raised; lower lip
# tucked under the teeth; lips pressed together; strength of the pull.
OPEN, WIDE, ROUND, TEETH, TONGUE, TUCK, PRESS, STRENGTH = range(8)
VISEMES: dict[str, tuple[float, ...]] = {
    REST: (0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    "pbm": (0.0, -0.1, 0.1, 0.0, 0.0, 0.0, 1.0, 2.2),
    "fv": (0.12, -0.2, 0.0, 0.8, 0.0, 1.0, 0.0, 2.0),
    "wq": (0.12, -0.8, 1.0, 0.0, 0.0, 0.0, 0.0, 1.6),
    "u": (0.4, -0.6, 0.8, 0.0, 0.1, 0.0, 0.0, 1.2),
    "o": (0.75, -0.25, 0.5, 0.0, 0.2, 0.0, 0.0, 1.2),
    "a": (1.0, 0.1, 0.0, 0.5, 0.2, 0.0, 0.0, 1.2),
    "e": (0.6, 0.5, 0.0, 0.5, 0.5, 0.0, 0.0, 1.2),
    "iy": (0.35, 0.9, 0.0, 0.5, 0.1, 0.0, 0.0, 1.2),
    "tdn": (0.3, 0.0, 0.0, 0.3, 0.9, 0.0, 0.0, 1.1),
    "sz": (0.35, 0.4, 0.0, 1.0, 0.0, 0.0, 0.0, 1.4),
    "l": (0.6, 0.1, 0.0, 0.2, 1.0, 0.0, 0.0, 1.2),
    "r": (0.35, -0.3, 0.45, 0.3, 0.5, 0.0, 0.0, 1.2),
    "j": (0.35, -0.5, 0.9, 1.0, 0.0, 0.0, 0.0, 1.4),
    "kgcx": (0.45, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0),
    "h": (0.4, 0.0, 0.1, 0.1, 0.2, 0.0, 0.0, 0.6),
}
TARGETS = {letter: np.array(shape) for letters, shape in VISEMES.items() for letter in letters}
REACH = 0.42  # of a letter's length: the sigma of its pull; neighbours overlap, vowels still reach their shape


def mouth_shapes(spoken: Spoken) -> NDArray[np.float64]:
    """The shape of the mouth in every frame: (T, 7), columns as in VISEMES without the strength."""
    targets = np.stack([TARGETS[letter] for letter, _, _ in spoken.sounds])
    starts, ends = (np.array([sound[i] for sound in spoken.sounds], float) for i in (1, 2))
    times = np.arange(spoken.n_frames)[:, None] + 0.5
    # Distance to the middle of a letter; a rest is long, and pulls evenly from its start to its end.
    rest = np.array([letter == REST for letter, _, _ in spoken.sounds])
    middle, length = (starts + ends) / 2, ends - starts
    outside = np.maximum(np.maximum(starts - times, times - ends), 0.0) + 0.5
    distance = np.where(rest, outside, np.abs(times - middle))
    sigma = np.where(rest, 1.0, REACH * length)
    pull = targets[:, STRENGTH] * np.exp(-0.5 * (distance / sigma) ** 2)
    shapes: NDArray[np.float64] = pull @ targets[:, :STRENGTH] / pull.sum(1, keepdims=True)
    return shapes
