"""Which symbol a CTC network says in which frame, given that it says a transcript: the likeliest path.

Viterbi over the extended transcript (blank, letter, blank, letter, …, blank) of Graves et al. 2006,
section 4.1: a path stays, moves on by one, or by two where that skips a blank between different letters.
"""

import torch
from torch import Tensor

from lipkd.text import BLANK

IMPOSSIBLE = -1e30


@torch.no_grad()
def align(logits: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """The symbol (B, T) of every frame on the likeliest path that spells each target; blank where padded.

    logits (B, T, V), lengths (B,), targets (B, L), target_lengths (B,). A clip with too few frames for its
    target gets blanks.
    """
    scores = logits.float().log_softmax(-1).cpu()
    n_clips, n_frames, _ = scores.shape
    lengths, target_lengths = lengths.cpu(), target_lengths.cpu()
    extended = torch.full((n_clips, 2 * targets.shape[1] + 1), BLANK)
    extended[:, 1::2] = targets.cpu()
    n_states = extended.shape[1]
    emitted = scores.gather(2, extended[:, None].expand(-1, n_frames, -1))  # (B, T, S)
    skips = torch.zeros_like(extended, dtype=torch.bool)
    skips[:, 2:] = (extended[:, 2:] != BLANK) & (extended[:, 2:] != extended[:, :-2])
    best = torch.full((n_clips, n_states), IMPOSSIBLE)
    best[:, :2] = emitted[:, 0, :2]
    steps = torch.zeros(n_clips, n_frames, n_states, dtype=torch.long)
    ends = [best]
    for frame in range(1, n_frames):
        one, two = torch.roll(best, 1, 1), torch.roll(best, 2, 1)
        one[:, :1], two[:, :2] = IMPOSSIBLE, IMPOSSIBLE
        two = torch.where(skips, two, IMPOSSIBLE)
        before, steps[:, frame] = torch.stack([best, one, two]).max(0)
        best = before + emitted[:, frame]
        ends.append(best)
    symbols = torch.full((n_clips, n_frames), BLANK)
    for clip in range(n_clips):
        last, final = int(lengths[clip]) - 1, 2 * int(target_lengths[clip])
        if last < 0 or final < 1:
            continue
        state = final if ends[last][clip, final] >= ends[last][clip, final - 1] else final - 1
        if ends[last][clip, state] <= IMPOSSIBLE / 2:
            continue
        for frame in range(last, -1, -1):
            symbols[clip, frame] = extended[clip, state]
            state -= int(steps[clip, frame, state])
    return symbols.to(logits.device)
