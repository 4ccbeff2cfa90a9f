"""Deep mutual learning (Zhang et al. 2018, section 3): every peer learns from each of the others.

distillation of peer i = 1/(P-1) · Σ over j ≠ i of KL(p_j ‖ p_i)
"""

import torch
from torch import Tensor, nn

from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Teaching
from lipkd.text import Alphabet


class MutualLearning(nn.Module):
    """No teacher but the others; the ensemble, for the record, is the mean of the logits."""

    def forward(self, logits: list[Tensor], batch: Batch, alphabet: Alphabet) -> Teaching:
        """logits: detached, one (B, T, V) per peer. Peer i gets the logits of all peers but its own."""
        others = tuple(tuple(z for j, z in enumerate(logits) if j != i) for i in range(len(logits)))
        return Teaching(torch.stack(logits).mean(0), others)
