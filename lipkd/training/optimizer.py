"""What moves a cohort's weights: AdamW for all of them, or Muon for the recurrent matrices and AdamW for the rest.

    AdamW   Loshchilov & Hutter 2019
    Muon    Jordan et al. 2024, with the update's size matched to AdamW's (Liu et al. 2025, section 2.2), so that one
            learning rate serves both: W ← (1 - r·d) W - 0.2 r √max(rows, columns) · orthogonalised momentum

Most of a LipNet's parameters are the matrices of its GRU layers. Muon gives every direction of such a matrix the same
step, also those with small gradients; how much sooner that reads is in docs/results.md. torch keeps the matrices of a
GRU's three gates in one; each is a map of its own and is orthogonalised by itself.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lipkd.config.sections import TrainingConfig
from lipkd.model.cohort import Cohort


class CohortOptimizer:
    """Moves all peers at once; `tensors` and `restore` carry its state through a checkpoint."""

    def __init__(self, cohort: Cohort, training: TrainingConfig) -> None:
        self.matrices = _recurrent_matrices(cohort) if training.optimizer == "muon" else []
        apart = {id(p) for p in self.matrices}
        others = [p for p in cohort.parameters() if id(p) not in apart]
        adamw: list[dict[str, Any]] = [
            {"params": [p for p in others if p.squeeze().ndim >= 2]},
            {"params": [p for p in others if p.squeeze().ndim < 2], "weight_decay": 0.0},  # biases and scales
        ]
        self.parts: dict[str, torch.optim.Optimizer] = {"optimizer": torch.optim.AdamW(adamw, betas=(0.9, 0.98))}
        # Parameters of their own for Muon, in the same memory as the network's.
        self.gates = [nn.Parameter(gate) for p in self.matrices for gate in p.detach().chunk(3)]
        if self.gates:
            self.parts["muon"] = torch.optim.Muon(self.gates, adjust_lr_fn="match_rms_adamw")

    def step(self, rate: float, weight_decay: float) -> None:
        """Move the weights by their gradients at a learning rate, and forget the gradients."""
        slopes = [slope for p in self.matrices if p.grad is not None for slope in p.grad.chunk(3)]
        for gate, slope in zip(self.gates, slopes, strict=True):
            gate.grad = slope
        for part in self.parts.values():
            part.param_groups[0]["weight_decay"] = weight_decay  # the group that decays, in either part
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad(set_to_none=True)
        for p in self.matrices:
            p.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """The state as named tensors `PART/INDEX/KEY`."""
        return {
            f"{name}/{index}/{key}": value
            for name, part in self.parts.items()
            for index, entry in part.state_dict()["state"].items()
            for key, value in entry.items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave; names of other things are passed over."""
        for name, part in self.parts.items():
            whole = part.state_dict()
            whole["state"] = {}
            for key, value in tensors.items():
                if key.startswith(f"{name}/"):
                    _, index, entry = key.split("/")
                    whole["state"].setdefault(int(index), {})[entry] = value
            part.load_state_dict(whole)


def learning_rate(training: TrainingConfig, step: int, steps: int) -> float:
    """One cycle (Smith & Topin 2017): linear warm-up over `warmup_share` of all steps, then a cosine to zero."""
    warmup = training.warmup_share * steps
    if step < warmup:
        return training.learning_rate * (step + 1) / (warmup + 1)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def _recurrent_matrices(cohort: Cohort) -> list[nn.Parameter]:
    layers: Iterable[nn.Module] = (gru for peer in cohort.branches for gru in peer.recurrent)
    return [p for layer in layers for p in layer.parameters() if p.ndim == 2]
