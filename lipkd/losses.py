"""The losses, as pure functions of tensors. Padding is masked; a row without valid frames counts nothing."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lipkd.text import BLANK


def ctc_per_clip(logits: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006), in nats per letter, for each clip.

    logits (B, T, V), lengths (B,), targets (B, L), target_lengths (B,). Returns (B,). A clip with too
    few frames for its transcript has no path and counts 0.
    """
    log_posteriors = F.log_softmax(logits.float(), -1).transpose(0, 1)
    losses = F.ctc_loss(
        log_posteriors, targets, lengths, target_lengths, blank=BLANK, reduction="none", zero_infinity=True
    )
    return losses / target_lengths.clamp(min=1).to(losses.device)


def valid_frames(lengths: Tensor, n_frames: int, device: torch.device) -> Tensor:
    """Mask (B, T): True where a frame belongs to its clip."""
    return (torch.arange(n_frames)[None, :] < lengths[:, None]).to(device)


def distillation(logits: Tensor, target_logits: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """τ² · mean over masked frames of KL(softmax(target / τ) ‖ softmax(logits / τ)) (Hinton et al. 2015, section 2).

    logits, target_logits (B, T, V); mask (B, T). The target is detached: no gradient reaches it. Scalar;
    0 when the mask is empty.
    """
    target = F.log_softmax(target_logits.detach().float() / temperature, -1)
    own = F.log_softmax(logits.float() / temperature, -1)
    divergence = (target.exp() * (target - own)).sum(-1)
    return temperature**2 * torch.where(mask, divergence, 0.0).sum() / mask.sum().clamp(min=1)
