import math

import pytest
import torch

from lipkd.evaluation.peer_metrics import entropy, peer_metrics, spike_offset, spikes


def path(*symbols: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(symbols), 4).float()


def test_spikes_are_where_runs_begin() -> None:
    assert spikes(path(0, 2, 2, 0, 2, 3, 0)) == [(1, 2), (4, 2), (5, 3)]
    assert spikes(path(0, 0)) == []


def test_spike_offset_by_hand() -> None:
    """2 at frame 1 against 3, 3 at frame 4 in both: (2 + 0) one way, (2 + 0) the other, over four spikes."""
    one, other = path(0, 2, 0, 0, 3, 0), path(0, 0, 0, 2, 3, 0)
    assert spike_offset(one, other) == spike_offset(other, one) == 1.0
    assert spike_offset(one, one) == 0
    assert spike_offset(path(2, 0), path(0, 3)) is None


def test_entropy_of_a_coin_and_of_certainty() -> None:
    assert entropy(torch.tensor([[0.5, 0.5, 0.0]])) == pytest.approx(math.log(2), abs=1e-5)
    assert entropy(path(1, 2)) == pytest.approx(0, abs=1e-5)


def test_peer_metrics_by_hand() -> None:
    """Texts ab/ab and ab/b: one edit in four characters."""
    posteriors = [torch.stack([path(0, 1, 0), path(1, 0, 0)]), torch.stack([path(0, 2, 0), path(0, 2, 0)])]
    found = peer_metrics([["ab", "ab"], ["ab", "b"]], posteriors)
    assert found["peers/agreement"] == 3 / 4
    assert found["peers/spike_offset"] == 0.5
    assert peer_metrics([["", ""]], [torch.stack([path(0), path(0)])]) == {
        "peers/entropy": pytest.approx(0, abs=1e-5),
        "peers/agreement": 1.0,
    }
    assert set(peer_metrics([["ab"]], [path(0, 1)[None]])) == {"peers/entropy"}
