"""Bidirectional GRU layers over clips of different lengths (Cho et al. 2014, in the form of torch.nn.GRU).

    r, z  = σ(W_ir x + b_ir + W_hr h + b_hr), σ(W_iz x + b_iz + W_hz h + b_hz)
    n     = tanh(W_in x + b_in + r · (W_hn h + b_hn))
    h'    = (1 - z) · n + z · h

On a GPU, and where nothing is learnt, this is torch's own. When it learns on a processor, torch.nn.GRU spends most of
its time on gradients of the weights, which it sums up frame by frame; here they are one product over all frames, and
both directions go through each frame together: `lipkd bench gru`, figures in docs/results.md.
"""

from typing import Any

import torch
from torch import Tensor, nn


def run_gru(gru: nn.GRU, x: Tensor, lengths: Tensor) -> Tensor:
    """The bidirectional layer `gru` on x (B, T, F), lengths (B,) on the CPU: hidden states (B, T, 2·hidden).

    A clip's states depend on its own frames only; what stands at padded frames means nothing, but is finite.
    """
    if x.is_cuda or not torch.is_grad_enabled():
        return run_packed(gru, x, lengths)
    n_frames = x.shape[1]
    order = backwards(lengths, n_frames)
    own = dict(gru.named_parameters())
    ahead, back = ("", "_reverse")
    inputs = [
        torch.nn.functional.linear(values, own[f"weight_ih_l0{way}"], own[f"bias_ih_l0{way}"]).transpose(0, 1)
        for values, way in ((x, ahead), (turned(x, order), back))
    ]
    weights = torch.stack([own[f"weight_hh_l0{way}"] for way in (ahead, back)])
    biases = torch.stack([own[f"bias_hh_l0{way}"] for way in (ahead, back)])
    states = _Steps.apply(torch.stack(inputs, 1), weights, biases)
    there, again = states.unbind(1)
    return torch.cat([there.transpose(0, 1), turned(again.transpose(0, 1), order)], -1)


def run_packed(gru: nn.GRU, x: Tensor, lengths: Tensor) -> Tensor:
    """The same by torch.nn.GRU on packed clips."""
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
    packed, _ = gru(packed)
    return nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])[0]


def backwards(lengths: Tensor, n_frames: int) -> Tensor:
    """For each clip the order (B, T) in which its frames run backwards while its padding stays behind them."""
    frames, last = torch.arange(n_frames)[None, :], lengths[:, None] - 1
    return torch.where(frames <= last, last - frames, frames)


def turned(x: Tensor, order: Tensor) -> Tensor:
    """x (B, T, C) with the frames of each clip in an order (B, T)."""
    return x.gather(1, order[:, :, None].expand_as(x))


class _Steps(torch.autograd.Function):
    """What depends on the frame before: given inputs (T, G, B, 3H), weights (G, 3H, H) and biases (G, 3H) of G
    directions, the hidden states (T, G, B, H)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
        n_frames, groups, batch, triple = inputs.shape
        size = triple // 3
        state = inputs.new_zeros(groups, batch, size)
        states = inputs.new_empty(n_frames, groups, batch, size)
        gates = inputs.new_empty(n_frames, groups, batch, triple)  # r, z, n
        pulled = torch.empty_like(states)  # W_hn h + b_hn
        matrices, offsets = weights.transpose(1, 2).contiguous(), biases[:, None]
        split = (2 * size, size)
        rows = (*inputs.split(split, -1), *gates.split(split, -1), pulled, states)
        for for_both, for_new, both, new, pull, after in zip(*(row.unbind() for row in rows), strict=True):
            from_both, from_new = torch.baddbmm(offsets, state, matrices).split(split, -1)
            reset, update = torch.add(for_both, from_both, out=both).sigmoid_().chunk(2, -1)
            torch.addcmul(for_new, reset, pull.copy_(from_new), out=new).tanh_()
            state = torch.lerp(new, state, update, out=after)
        ctx.save_for_backward(weights, states, gates, pulled)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights, states, gates, pulled = ctx.saved_tensors
        (given,) = gradients
        n_frames, groups, batch, size = states.shape
        before = torch.cat([torch.zeros_like(states[:1]), states[:-1]])
        reset, update, new = gates.chunk(3, -1)
        # What a change of h' means to the three sums in the gates, and to W_hn h alone, frame by frame.
        to_new = (1 - update) * (1 - new * new)
        to_update = (before - new) * update * (1 - update)
        to_reset = to_new * pulled * reset * (1 - reset)
        to_state_sums = torch.stack([to_reset, to_update, to_new * reset], -2)  # (T, G, B, 3, H)
        sums = torch.empty_like(to_state_sums)
        changes = torch.empty_like(states)
        change = torch.zeros_like(states[0])
        flat = sums.view(n_frames, groups, batch, 3 * size)
        rows = (given, update, to_state_sums, sums, flat, changes, changes.unsqueeze(-2))
        frames = zip(*(row.unbind() for row in rows), strict=True)
        for outside, kept, to_sums, summed, product, now, thrice in reversed(list(frames)):
            torch.add(outside, change, out=now)
            torch.mul(thrice, to_sums, out=summed)
            change = torch.baddbmm(now * kept, product, weights)
        by_group = flat.transpose(0, 1).reshape(groups, n_frames * batch, 3 * size)
        seen = before.transpose(0, 1).reshape(groups, n_frames * batch, size)
        for_weights = torch.bmm(by_group.transpose(1, 2), seen)
        for_inputs = torch.cat([flat[..., : 2 * size], changes * to_new], -1)
        return for_inputs, for_weights, by_group.sum(1)
