"""What a method is given, and what it hands back, for one batch."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lipkd.data.loader import Batch


@dataclass(frozen=True)
class Outputs:
    """What P peers make of a batch, attached to the graph: a method that must not train the peers detaches it first."""

    logits: tuple[Tensor, ...]
    """Per peer (B, T, V)."""
    hidden: tuple[Tensor, ...]
    """Per peer the hidden states (B, T, 2·hidden); their last dimension differs where the peers' widths do."""
    trunk: Tensor | None = None
    """The features (B, T, F) of a shared trunk (their mean over the views); None where the peers share none."""


@dataclass(frozen=True)
class Teaching:
    """The teaching of one batch, for P peers and logits (B, T, V)."""

    ensemble: Tensor
    """Logits (B, T, V) of the cohort as a whole."""
    targets: tuple[tuple[Tensor, ...], ...] = ()
    """Per peer the logits (B, T, V) to learn from, one or several; empty when the method teaches no frames."""
    strings: tuple[str, ...] = ()
    """A text per clip that every peer learns to say, by CTC; empty when the method teaches no strings."""
    loss: Tensor | None = None
    """What trains the method's own parameters; no gradient of it reaches a peer, but for the teacher of `one`."""
    weights: Tensor | None = None
    """Weight (B, P) that each peer got in the ensemble."""


class Method(nn.Module, ABC):
    """How the peers of a cohort teach each other."""

    shares_trunk: ClassVar[bool] = False
    """Whether the peers are branches on one trunk."""
    weighs_at_inference: ClassVar[bool] = False
    """Whether `ensemble` needs the method's own parameters."""

    @abstractmethod
    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        """The teaching of one batch."""

    def ensemble(self, outputs: Outputs, lengths: Tensor) -> Tensor:
        """Logits (B, T, V) of the cohort where there is no transcript to weigh peers by; lengths (B,)."""
        return torch.stack(outputs.logits).mean(0)
