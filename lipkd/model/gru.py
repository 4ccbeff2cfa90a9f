"""Bidirectional GRU layers over clips of different lengths (Cho et al. 2014, in the form of torch.nn.GRU).

    r, z  = σ(W_ir x + b_ir + W_hr h + b_hr), σ(W_iz x + b_iz + W_hz h + b_hz)
    n     = tanh(W_in x + b_in + r · (W_hn h + b_hn))
    h'    = (1 - z) · n + z · h

On a GPU, and without gradients, this is torch.nn.GRU. Trained on a processor, torch.nn.GRU spends most of its time on
the gradients of the weights, which it sums up frame by frame; here they are one product over all frames, and both
directions go through each frame together: `lipkd bench gru`, figures in docs/results.md.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def run_gru(gru: nn.GRU, x: Tensor, lengths: Tensor) -> Tensor:
    """The bidirectional layer `gru` on x (B, T, F), lengths (B,) on the CPU: hidden states (B, T, 2·hidden).

    A clip's states depend on its own frames only; what stands at padded frames means nothing, but is finite.
    """
    if x.is_cuda or not torch.is_grad_enabled():
        return run_packed(gru, x, lengths)
    n_frames = x.shape[1]
    order = reversed_frames(lengths, n_frames)
    parameters = dict(gru.named_parameters())
    forward, backward = ("", "_reverse")
    inputs = [
        torch.nn.functional.linear(
            values, parameters[f"weight_ih_l0{direction}"], parameters[f"bias_ih_l0{direction}"]
        ).transpose(0, 1)
        for values, direction in ((x, forward), (reordered(x, order), backward))
    ]
    weights = torch.stack([parameters[f"weight_hh_l0{direction}"] for direction in (forward, backward)])
    biases = torch.stack([parameters[f"bias_hh_l0{direction}"] for direction in (forward, backward)])
    states = _Recurrence.apply(torch.stack(inputs, 1), weights, biases)
    states_forward, states_backward = states.unbind(1)
    return torch.cat([states_forward.transpose(0, 1), reordered(states_backward.transpose(0, 1), order)], -1)


def run_packed(gru: nn.GRU, x: Tensor, lengths: Tensor) -> Tensor:
    """The same by torch.nn.GRU on packed clips."""
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
    packed, _ = gru(packed)
    return nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])[0]


def reversed_frames(lengths: Tensor, n_frames: int) -> Tensor:
    """For each clip the order (B, T) in which its frames run backwards while its padding stays behind them."""
    frames, last = torch.arange(n_frames)[None, :], lengths[:, None] - 1
    return torch.where(frames <= last, last - frames, frames)


def reordered(x: Tensor, order: Tensor) -> Tensor:
    """x (B, T, C) with the frames of each clip in an order (B, T)."""
    return x.gather(1, order[:, :, None].expand_as(x))


class _Recurrence(torch.autograd.Function):
    """The part of a GRU that depends on the frame before: from inputs W_i x + b_i (T, D, B, 3H), weights W_h (D, 3H, H)
    and biases b_h (D, 3H) of D directions to the hidden states (T, D, B, H). Gates in torch's order r, z, n."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
        n_frames, directions, batch, triple = inputs.shape
        size = triple // 3
        state = inputs.new_zeros(directions, batch, size)
        states = inputs.new_empty(n_frames, directions, batch, size)
        gates = inputs.new_empty(n_frames, directions, batch, triple)  # r, z, n
        hidden_n = torch.empty_like(states)  # W_hn h + b_hn
        weights_t, biases_row = weights.transpose(1, 2).contiguous(), biases[:, None]
        split = (2 * size, size)
        frames = zip(
            *(x.unbind() for x in (*inputs.split(split, -1), *gates.split(split, -1), hidden_n, states)), strict=True
        )
        for input_rz, input_n, rz, n, h_n, next_state in frames:
            hidden_rz, from_state = torch.baddbmm(biases_row, state, weights_t).split(split, -1)
            reset, update = torch.add(input_rz, hidden_rz, out=rz).sigmoid_().chunk(2, -1)
            torch.addcmul(input_n, reset, h_n.copy_(from_state), out=n).tanh_()
            state = torch.lerp(n, state, update, out=next_state)
        ctx.save_for_backward(weights, states, gates, hidden_n)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights, states, gates, hidden_n = ctx.saved_tensors
        n_frames, directions, batch, size = states.shape
        previous = torch.cat([torch.zeros_like(states[:1]), states[:-1]])
        reset, update, new = gates.chunk(3, -1)
        # Gradients of h' with respect to the pre-activations of the gates; of n also with respect to W_hn h + b_hn.
        d_new = (1 - update) * (1 - new * new)
        d_update = (previous - new) * update * (1 - update)
        d_reset = d_new * hidden_n * reset * (1 - reset)
        d_hidden = torch.stack([d_reset, d_update, d_new * reset], -2)  # (T, D, B, 3, H)
        grad_hidden = torch.empty_like(d_hidden)  # of the loss with respect to W_h h + b_h
        grad_flat = grad_hidden.view(n_frames, directions, batch, 3 * size)
        grad_states = torch.empty_like(states)
        grad_next = torch.zeros_like(states[0])  # from the frame after
        rows = (grad_output, update, d_hidden, grad_hidden, grad_flat, grad_states, grad_states.unsqueeze(-2))
        frames = zip(*(x.unbind() for x in rows), strict=True)
        for grad_out, z, d_h, grad_h, grad_h_flat, grad_state, grad_state_row in reversed(list(frames)):
            torch.add(grad_out, grad_next, out=grad_state)
            torch.mul(grad_state_row, d_h, out=grad_h)
            grad_next = torch.baddbmm(grad_state * z, grad_h_flat, weights)
        by_direction = grad_flat.transpose(0, 1).reshape(directions, n_frames * batch, 3 * size)
        previous_flat = previous.transpose(0, 1).reshape(directions, n_frames * batch, size)
        grad_weights = torch.bmm(by_direction.transpose(1, 2), previous_flat)
        grad_inputs = torch.cat([grad_flat[..., : 2 * size], grad_states * d_new], -1)
        return grad_inputs, grad_weights, by_direction.sum(1)
