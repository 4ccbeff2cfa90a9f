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


def ctc_log_likelihood(logits: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """ln p(target | frames), summed over all alignments, for each row (N,), on the CPU; -inf where there is none.

    logits (N, T, V), lengths (N,), targets (N, L), target_lengths (N,).
    """
    log_posteriors = F.log_softmax(logits.float(), -1).transpose(0, 1)
    return -F.ctc_loss(log_posteriors, targets, lengths, target_lengths, blank=BLANK, reduction="none").cpu()


def valid_frames(lengths: Tensor, n_frames: int, device: torch.device) -> Tensor:
    """Mask (B, T): True where a frame belongs to its clip."""
    return (torch.arange(n_frames)[None, :] < lengths[:, None]).to(device)


def taught_frames(target_logits: Tensor, mask: Tensor, choice: str, window: int) -> Tensor:
    """The frames (B, T) of `mask` in which a target teaches.

    `all`; `spikes`: those whose likeliest symbol in the target is no blank; `window`: those and `window`
    frames on either side. CTC posteriors are blank nearly everywhere, so a mean over all frames is mostly a
    lesson in blanks (Kurata & Audhkhasi 2019 guide the spikes alone).
    """
    if choice == "all":
        return mask
    spikes = (target_logits.argmax(-1) != BLANK) & mask
    if choice == "window":
        wide = F.max_pool1d(spikes[:, None].float(), 2 * window + 1, stride=1, padding=window)
        return (wide[:, 0] > 0) & mask
    return spikes


def distillation(logits: Tensor, target_logits: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """τ² · mean over masked frames of KL(softmax(target / τ) ‖ softmax(logits / τ)) (Hinton et al. 2015, section 2).

    logits, target_logits (B, T, V); mask (B, T). The target is detached: no gradient reaches it. Scalar;
    0 when the mask is empty.
    """
    target = F.log_softmax(target_logits.detach().float() / temperature, -1)
    own = F.log_softmax(logits.float() / temperature, -1)
    divergence = (target.exp() * (target - own)).sum(-1)
    return temperature**2 * torch.where(mask, divergence, 0.0).sum() / mask.sum().clamp(min=1)
