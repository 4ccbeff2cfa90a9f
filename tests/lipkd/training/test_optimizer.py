"""What a step of the optimiser does to which weights, and what survives a checkpoint."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lipkd import checkpoint
from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.store import ClipStore
from lipkd.model.cohort import Cohort
from lipkd.training.optimizer import CohortOptimizer, learning_rate
from lipkd.training.train import fit
from tests.measured import numbers

RATE = 0.01


def config_of(**parts: Any) -> TrialConfig:
    value = {"data": {"store": "-"}, "network": {"width": 0.125}, "training": {"optimizer": "muon"}}
    return parse_config(value | parts)


def moved(config: TrialConfig) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A cohort's gradients and how far a step without decay moves each of its weights, by name."""
    cohort = Cohort(config, picture=(24, 48, 3), n_words=3)
    before = {name: value.detach().clone() for name, value in cohort.named_parameters()}
    gradients = {}
    for index, (name, parameter) in enumerate(cohort.named_parameters()):
        torch.manual_seed(index)
        parameter.grad = gradients[name] = torch.randn_like(parameter)
    CohortOptimizer(cohort, config.training).step(RATE, 0.0)
    assert all(parameter.grad is None for parameter in cohort.parameters())
    return gradients, {name: value.detach() - before[name] for name, value in cohort.named_parameters()}


def test_muon_moves_recurrent_matrices_evenly_in_all_directions_and_adamw_the_rest() -> None:
    gradients, moves = moved(config_of())
    _, plain = moved(config_of(training={"optimizer": "adamw"}))
    matrices = [name for name in moves if ".recurrent." in name and "weight" in name]
    assert len(matrices) == 8
    for name, move in moves.items():
        if name not in matrices:
            assert torch.equal(move, plain[name]), name
            continue
        for gate, slope in zip(move.chunk(3), gradients[name].chunk(3), strict=True):
            # Newton-Schulz leaves singular values near 1, but for the few that were tiny in a square matrix; the update
            # is 0.2 · rate · √max(rows, columns) times that.
            left, spread, right = torch.linalg.svd(gate, full_matrices=False)
            sizes = spread / (0.2 * RATE * max(gate.shape) ** 0.5)
            assert sizes.quantile(0.1) > 0.6 and sizes.max() < 1.3, name
            # Its directions are those of the gradient: U Vᵀ of the same decomposition, against it.
            u, _, v = torch.linalg.svd(slope, full_matrices=False)
            alike = torch.nn.functional.cosine_similarity((left @ right).flatten(), -(u @ v).flatten(), dim=0)
            assert alike > 0.95, name


def test_weights_decay_under_both_parts_and_biases_do_not() -> None:
    config = config_of()
    cohort = Cohort(config, picture=(24, 48, 3), n_words=0)
    before = {name: value.detach().clone() for name, value in cohort.named_parameters()}
    for parameter in cohort.parameters():
        parameter.grad = torch.zeros_like(parameter)
    CohortOptimizer(cohort, config.training).step(RATE, 0.5)
    for name, value in cohort.named_parameters():
        decays = value.squeeze().ndim >= 2
        assert torch.allclose(value, before[name] * (1 - RATE * 0.5 * decays), rtol=1e-6, atol=0), name


@pytest.mark.parametrize("method", ["independent", "one"])
def test_muon_goes_on_from_a_checkpoint_to_the_bit(tiny_store: ClipStore, tmp_path: Path, method: str) -> None:
    config = parse_config(
        {
            "data": {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]},
            "network": {"width": 0.125},
            "cohort": {"method": method, "peers": 2},
            "training": {"optimizer": "muon", "epochs": 3, "batch_size": 4, "threads": 1, "learning_rate": 0.006},
        }
    )
    fit(config, tmp_path / "whole")
    fit(config, tmp_path / "parts", until=1)
    fit(config, tmp_path / "parts")
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    one, other = (checkpoint.load(tmp_path / name / "checkpoints/last.safetensors")[0] for name in ("whole", "parts"))
    assert one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())
    assert sum(name.startswith("muon/") for name in one) == 48  # the momentum of 3 gates of 8 matrices of each peer
    if method == "independent":  # the second peer is nothing to the first
        alone = config.model_copy(update={"cohort": config.cohort.model_copy(update={"peers": 1})})
        fit(alone, tmp_path / "alone")
        mine, both = numbers(tmp_path / "alone"), numbers(tmp_path / "whole")
        assert [m["val/wer/peer_0"] for m in mine] == [m["val/wer/peer_0"] for m in both]
        assert [m["train/ctc/peer_0"] for m in mine] == [m["train/ctc/peer_0"] for m in both]


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    training = config_of(training={"learning_rate": 1.0, "warmup_share": 0.1}).training
    rates = [learning_rate(training, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11) and rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5) and 0 < rates[99] < 0.001
