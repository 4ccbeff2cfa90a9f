"""No distillation: P networks that share the batches and nothing else. One peer is vanilla."""

import torch

from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Method, Outputs, Teaching


class Independent(Method):
    """The control of every other method. The ensemble, for the record, is the mean of the logits."""

    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        logits = [z.detach() for z in outputs.logits]
        return Teaching(torch.stack(logits).mean(0))
