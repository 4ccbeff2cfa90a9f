"""Values worked out by hand: three frames, three symbols."""

import math

import pytest
import torch

from lipkd.ctc.losses import ctc_per_clip, distillation, valid_frames


def test_ctc_by_hand() -> None:
    """Uniform posteriors over (blank, a, b): each of 27 paths has 1/27.

    "a" in three frames: aaa, aa-, a--, -aa, -a-, --a: six paths. "ab": aab, abb, -ab, a-b, ab-: five.
    """
    logits = torch.zeros(2, 3, 3)
    targets, lengths = torch.tensor([[1, 0], [1, 2]]), torch.tensor([1, 2])
    loss = ctc_per_clip(logits, torch.tensor([3, 3]), targets, lengths)
    assert loss.tolist() == pytest.approx([math.log(27 / 6), math.log(27 / 5) / 2])


def test_ctc_of_padded_impossible_and_empty_rows_is_finite() -> None:
    logits = torch.randn(3, 3, 3, requires_grad=True)
    targets, target_lengths = torch.tensor([[1, 1], [1, 2], [1, 0]]), torch.tensor([2, 2, 1])
    loss = ctc_per_clip(logits, torch.tensor([2, 0, 3]), targets, target_lengths)  # "aa" needs three frames
    loss.sum().backward()
    assert loss[0] == loss[1] == 0 < loss[2]
    assert logits.grad is not None and logits.grad.isfinite().all()
    assert logits.grad[1].abs().max() == 0


def test_distillation_by_hand() -> None:
    """τ = 2. Target logits (2·ln 2, 0, 0) soften to (1/2, 1/4, 1/4), the peer's zeros to thirds.

    KL = 1/2 ln(3/2) + 1/2 ln(3/4); two equal frames count, the third is padding; times τ² = 4.
    """
    target = torch.tensor([[[2 * math.log(2), 0, 0]] * 2 + [[9.0, 0, 0]]])
    mask = valid_frames(torch.tensor([2]), 3, torch.device("cpu"))
    expected = 4 * (0.5 * math.log(1.5) + 0.5 * math.log(0.75))
    assert distillation(torch.zeros(1, 3, 3), target, mask, 2.0).item() == pytest.approx(expected)
    assert distillation(target, target, mask, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_no_gradient_reaches_the_target_or_padding() -> None:
    own, target = torch.randn(2, 3, 3, requires_grad=True), torch.randn(2, 3, 3, requires_grad=True)
    distillation(own, target, valid_frames(torch.tensor([2, 0]), 3, own.device), 3.0).backward()
    assert target.grad is None
    assert own.grad is not None
    assert own.grad[0, :2].abs().min() > 0
    assert own.grad[0, 2].abs().max() == own.grad[1].abs().max() == 0


def test_an_empty_mask_gives_zero() -> None:
    own = torch.randn(1, 3, 3, requires_grad=True)
    loss = distillation(own, torch.randn(1, 3, 3), valid_frames(torch.tensor([0]), 3, own.device), 3.0)
    loss.backward()
    assert loss.item() == 0
    assert own.grad is not None and own.grad.abs().max() == 0
