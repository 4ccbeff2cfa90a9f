"""Test-time augmentation: a clip is looked at in several ways, and the look whose reading is surest counts.

A network that has seen few faces reads a mouth worse when it is farther away than those were, or lies a pixel or two
elsewhere, and is then unsure of its reading. Each clip gets one look as a whole, not a mean over looks: where looks
disagree about the moment of a letter, the mean of their posteriors loses it. What it gains: docs/results.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lipkd.ctc.decode import confidences, greedy
from lipkd.data.store import Frames
from lipkd.data.transforms import fitted
from lipkd.text import Alphabet


@dataclass(frozen=True)
class Look:
    """One way to see a clip: `closer` times nearer than in training, mirrored or not."""

    closer: float = 1.0
    mirrored: bool = False

    def of(self, frames: Frames, size: tuple[int, int], zoom: float) -> Frames:
        """The pictures (T, H, W, C) as this look shows them to a network trained at `size` (height, width) and
        `zoom`."""
        seen = fitted(frames, size, zoom * self.closer)
        return np.ascontiguousarray(seen[:, :, ::-1]) if self.mirrored else seen


AS_TRAINED = Look()
SEVERAL = tuple(Look(closer, mirrored) for mirrored in (False, True) for closer in (1.0, 1.3))


def surest(logits: Sequence[Tensor], lengths: Tensor, alphabet: Alphabet) -> Tensor:
    """For each clip the logits of the look whose greedy reading is the likeliest per letter; the first of equals.

    logits: (B, T, V) of each look, lengths (B,) valid frames. Returns (B, T, V).
    """
    if len(logits) == 1:
        return logits[0]
    sure = torch.tensor([confidences(z, lengths, alphabet, greedy(z, lengths, alphabet)) for z in logits])
    return torch.stack(tuple(logits))[sure.argmax(0), torch.arange(len(lengths))]
