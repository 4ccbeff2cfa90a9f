"""Our recurrence of a GRU against torch's: the same states and the same gradients."""

import pytest
import torch
from torch import Tensor, nn

from lipkd.model.gru import reordered, reversed_frames, run_gru, run_packed


def layer() -> tuple[nn.GRU, Tensor, Tensor]:
    """A bidirectional GRU, 7 inputs and 5 units, three clips (3, 9, 7) in double precision and their lengths."""
    torch.manual_seed(1)
    gru = nn.GRU(7, 5, batch_first=True, bidirectional=True).double()
    return gru, torch.randn(3, 9, 7, dtype=torch.double, requires_grad=True), torch.tensor([9, 4, 6])


def test_states_and_gradients_are_torchs() -> None:
    gru, x, lengths = layer()
    valid = (torch.arange(9) < lengths[:, None])[..., None]
    weights = torch.randn(3, 9, 10, dtype=torch.double)  # of a loss, so that no two gradients are alike
    both = []
    for run in (run_gru, run_packed):
        states = run(gru, x, lengths) * valid
        both.append((states, *torch.autograd.grad((states * weights).sum(), [x, *gru.parameters()])))
    assert len(both[0]) == 10
    for own, expected in zip(*both, strict=True):
        assert expected.abs().max() > 0.01
        assert torch.allclose(own, expected, rtol=1e-10, atol=1e-12)


def test_states_without_gradients_are_those_with_gradients() -> None:
    gru, x, lengths = layer()
    with_gradients = run_gru(gru, x, lengths)
    with torch.no_grad():
        without = run_gru(gru, x, lengths)
    assert not without.requires_grad
    for clip, length in enumerate(lengths):
        assert torch.allclose(with_gradients[clip, :length], without[clip, :length], atol=1e-12)


def test_a_second_derivative_is_refused_instead_of_wrong() -> None:
    gru, x, lengths = layer()
    (gradient,) = torch.autograd.grad(run_gru(gru, x, lengths).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_padding_says_nothing_and_gets_no_gradient() -> None:
    gru, x, lengths = layer()
    states = run_gru(gru, x, lengths)
    other = x.detach().clone()
    other[1, 4:] = 1e3
    again = run_gru(gru, other, lengths)
    assert torch.equal(again[1, :4], states[1, :4])
    (gradient,) = torch.autograd.grad(states[1, :4].sum() + states[2, :6].sum(), x)
    assert gradient[1, :4].abs().min() > 0
    assert not gradient[0].any() and not gradient[1, 4:].any() and not gradient[2, 6:].any()


@pytest.mark.parametrize("length", [0, 1])
def test_a_clip_without_frames_is_finite_and_teaches_nothing(length: int) -> None:
    gru, x, _ = layer()
    lengths = torch.tensor([9, length, 6])
    states = run_gru(gru, x, lengths)
    assert states.isfinite().all()
    valid = (torch.arange(9) < lengths[:, None])[..., None]
    gradients = torch.autograd.grad((states * valid).sum(), [x, *gru.parameters()])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0][1].any() == bool(length)


def test_a_clip_runs_backwards_within_its_length() -> None:
    order = reversed_frames(torch.tensor([4, 2, 0]), 4)
    assert order.tolist() == [[3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 2, 3]]
    x = torch.arange(24.0).view(3, 4, 2)
    assert reordered(x, order)[1].tolist() == [[10, 11], [8, 9], [12, 13], [14, 15]]
    assert torch.equal(reordered(reordered(x, order), order), x)
