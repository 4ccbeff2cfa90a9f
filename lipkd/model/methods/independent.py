"""No distillation: P networks that share the batches and nothing else. One peer is vanilla."""

import torch
from torch import Tensor, nn

from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Teaching
from lipkd.text import Alphabet


class Independent(nn.Module):
    """The control of every other method. The ensemble, for the record, is the mean of the logits."""

    def forward(self, logits: list[Tensor], batch: Batch, alphabet: Alphabet) -> Teaching:
        """logits: detached, one (B, T, V) per peer."""
        return Teaching(torch.stack(logits).mean(0))
