"""Knowledge distillation via collaborative learning (Guo et al. 2020, section 3.2): one target for all peers.

    kdcl-mean        the mean of the logits (the paper's linear combination with equal weights)
    kdcl-best-loss   for every clip the logits of the peer with the lowest CTC loss (KDCL-Naive)
    kdcl-min-logit   z_i minus its logit at the true symbol, then the smallest over the peers, symbol by
                     symbol: the most cautious teacher (KDCL-MinLogit)

The paper's images have one label; a frame of CTC has none. Its true symbol is taken from the likeliest
alignment of the transcript to the mean of the logits (`lipkd.ctc.forced_alignment`).
"""

import torch
from torch import Tensor

from lipkd.ctc.forced_alignment import align
from lipkd.ctc.losses import ctc_per_clip
from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Method, Outputs, Teaching


class MeanLogits(Method):
    """The mean of the logits teaches all peers."""

    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        logits = [z.detach() for z in outputs.logits]
        return _one_target(torch.stack(logits).mean(0), len(logits))


class BestLoss(Method):
    """For every clip the peer that reads it best teaches all, itself included (its own term is 0)."""

    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        logits = [z.detach() for z in outputs.logits]
        losses = [ctc_per_clip(z, batch.lengths, batch.targets, batch.target_lengths) for z in logits]
        best = torch.stack(losses).argmin(0)  # (B,)
        stacked = torch.stack(logits)
        return _one_target(stacked[best, torch.arange(len(best), device=best.device)], len(logits))


class MinLogit(Method):
    """The least that any peer says for each wrong symbol, measured from what it says for the true one."""

    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        logits = [z.detach() for z in outputs.logits]
        stacked = torch.stack([z.float() for z in logits])  # (P, B, T, V)
        truth = align(stacked.mean(0), batch.lengths, batch.targets, batch.target_lengths)  # (B, T)
        index = truth[None, :, :, None].expand(len(logits), -1, -1, 1)
        return _one_target((stacked - stacked.gather(-1, index)).amin(0), len(logits))


def _one_target(ensemble: Tensor, peers: int) -> Teaching:
    return Teaching(ensemble, ((ensemble,),) * peers)
