"""Averages of weights, by hand."""

import pytest
import torch

from lipkd.config.trial_config import parse_config
from lipkd.model.cohort import Cohort
from lipkd.training.ema import averaged_copy, effective_decay, follow


def cohort_of(method: str) -> Cohort:
    value = {"data": {"store": "x"}, "network": {"width": 0.125}, "cohort": {"method": method, "peers": 2}}
    return Cohort(parse_config(value), picture=(16, 16, 1), n_words=0)


def test_the_average_begins_short_and_grows() -> None:
    assert [effective_decay(0.9, step) for step in (0, 2, 80, 10_000)] == pytest.approx([0.1, 0.25, 0.9, 0.9])


def test_the_average_by_hand() -> None:
    """Weights go 8, 2, 2: with a decay of 0.1 throughout the average goes 8, 2.6, 2.06."""
    cohort = cohort_of("independent")
    weight = cohort.branches[0].output.bias
    torch.nn.init.constant_(weight, 8.0)
    average = averaged_copy(cohort)
    mean = average.branches[0].output.bias
    torch.nn.init.constant_(weight, 2.0)
    for step, expected in enumerate((2.6, 2.06)):
        follow(average, cohort, 0.1, step)
        torch.testing.assert_close(mean, torch.full_like(mean, expected))
    assert (weight == 2).all()
    assert not any(p.requires_grad for p in average.parameters())


def test_a_shared_trunk_is_averaged_once() -> None:
    cohort = cohort_of("one")
    average = averaged_copy(cohort)
    assert average.trunk is not None and cohort.trunk is not None
    start = next(average.trunk.parameters()).clone()
    with torch.no_grad():
        next(cohort.trunk.parameters()).add_(1.0)
    follow(average, cohort, 0.1, 0)
    torch.testing.assert_close(next(average.trunk.parameters()), start + 0.9)
