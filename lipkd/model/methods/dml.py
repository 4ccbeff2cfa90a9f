"""Deep mutual learning (Zhang et al. 2018, section 3): every peer learns from each of the others.

distillation of peer i = 1/(P-1) · Σ over j ≠ i of KL(p_j ‖ p_i)
"""

import torch

from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Method, Outputs, Teaching


class MutualLearning(Method):
    """No teacher but the others; the ensemble, for the record, is the mean of the logits."""

    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        """Peer i gets the logits of all peers but its own."""
        logits = [z.detach() for z in outputs.logits]
        others = tuple(tuple(z for j, z in enumerate(logits) if j != i) for i in range(len(logits)))
        return Teaching(torch.stack(logits).mean(0), others)
