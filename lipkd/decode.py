"""From posteriors to text."""

import torch
from torch import Tensor

from lipkd.text import BLANK, Alphabet


def greedy(logits: Tensor, lengths: Tensor, alphabet: Alphabet) -> list[str]:
    """Best path decoding (Graves et al. 2006, section 3.2): the likeliest symbol of every frame,
    repeats merged, blanks dropped.

    logits (B, T, V); lengths (B,) valid frames. Returns B strings, without spaces at the ends.
    """
    best = logits.argmax(-1).cpu()
    texts = []
    for row, length in zip(best, lengths.tolist(), strict=True):
        path = torch.unique_consecutive(row[:length]).tolist()
        texts.append(" ".join(alphabet.decode([i for i in path if i != BLANK]).split()))
    return texts
