"""Sequence-level distillation (Kim & Rush 2016, section 3.2) for CTC: peers learn the ensemble's sentence.

    distillation of peer i = CTC(z_i, what the ensemble says)

A string has no frames, so it does not matter where each peer puts its spikes, which is what makes a
frame-wise mean of CTC posteriors a poor teacher. The ensemble is the mean of the posteriors, read greedily;
a clip on which it says nothing teaches nothing. No τ: there is nothing to soften.
"""

import torch
from torch import Tensor, nn

from lipkd.ctc.decode import greedy
from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Teaching
from lipkd.text import Alphabet


class SequenceLevel(nn.Module):
    """The ensemble's greedy reading of each clip is a second transcript for all peers."""

    def forward(self, logits: list[Tensor], batch: Batch, alphabet: Alphabet) -> Teaching:
        """logits: detached, one (B, T, V) per peer."""
        ensemble = torch.stack([z.float().softmax(-1) for z in logits]).mean(0).clamp(min=1e-30).log()
        return Teaching(ensemble, strings=tuple(greedy(ensemble, batch.lengths, alphabet)))
