"""Test-time augmentation: each clip is read in several views, and the view with the most confident hypothesis counts.

A network that was trained on few faces reads a mouth worse, and with less confidence, when it is farther away than
in training or lies a pixel or two elsewhere. One view is chosen per clip; the posteriors are not averaged over views,
because views that place a letter in different frames lose it in their mean. What it gains: docs/results.md.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lipkd.ctc.decode import confidences, greedy
from lipkd.text import Alphabet


def most_confident(logits: Sequence[Tensor], lengths: Tensor, alphabet: Alphabet) -> Tensor:
    """For each clip the logits of the view whose greedy hypothesis is the likeliest per letter; the first of equals.

    logits: (B, T, V) of each view, lengths (B,) valid frames. Returns (B, T, V).
    """
    if len(logits) == 1:
        return logits[0]
    by_view = torch.tensor([confidences(z, lengths, alphabet, greedy(z, lengths, alphabet)) for z in logits])
    return torch.stack(tuple(logits))[by_view.argmax(0), torch.arange(len(lengths))]
