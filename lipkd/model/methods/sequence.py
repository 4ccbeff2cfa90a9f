"""Sequence-level distillation (Kim & Rush 2016, section 3.2) for CTC: peers learn the ensemble's sentence.

    distillation of peer i = CTC(z_i, what the ensemble says)

A string has no frames, so it does not matter where each peer puts its spikes, which is what makes a
frame-wise mean of CTC posteriors a poor teacher. The ensemble is the mean of the posteriors, read greedily;
a clip on which it says nothing teaches nothing. No τ: there is nothing to soften.
"""

import torch

from lipkd.ctc.decode import greedy
from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Method, Outputs, Teaching
from lipkd.text import Alphabet


class SequenceLevel(Method):
    """The ensemble's greedy reading of each clip is a second transcript for all peers."""

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__()
        self.alphabet = alphabet

    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        logits = [z.detach() for z in outputs.logits]
        ensemble = torch.stack([z.float().softmax(-1) for z in logits]).mean(0).clamp(min=1e-30).log()
        return Teaching(ensemble, strings=tuple(greedy(ensemble, batch.lengths, self.alphabet)))
