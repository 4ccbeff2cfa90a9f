"""Methods of online distillation: each says how the peers' targets come from all the peers' logits.

A method is a module called once a batch with the detached logits of all peers; it returns a `Teaching`.
No gradient of a peer passes through it, and what it trains of its own (the perceptron of `attention`) it
trains by its own loss.
"""

from torch import nn

from lipkd.config import CohortConfig
from lipkd.methods.attention import Attention
from lipkd.methods.dml import MutualLearning
from lipkd.methods.independent import Independent
from lipkd.methods.kdcl import BestLoss, MeanLogits, MinLogit
from lipkd.methods.sequence import SequenceLevel
from lipkd.methods.teaching import Teaching

METHODS: dict[str, type[nn.Module]] = {
    "independent": Independent,
    "dml": MutualLearning,
    "kdcl-mean": MeanLogits,
    "kdcl-best-loss": BestLoss,
    "kdcl-min-logit": MinLogit,
    "attention": Attention,
    "sequence": SequenceLevel,
}

__all__ = ["METHODS", "Teaching", "make_method"]


def make_method(cohort: CohortConfig) -> nn.Module:
    """The method that a configuration names; a single peer has nobody to learn from, whatever the name."""
    return METHODS[cohort.method]() if cohort.peers > 1 else Independent()
