"""What a method hands back to the training loop for one batch."""

from dataclasses import dataclass

from torch import Tensor


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
