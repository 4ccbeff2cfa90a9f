"""Methods of online distillation: each says how the peers' targets come from all the peers' logits.

A method is a module called once a batch with the detached logits of all peers; it returns a `Teaching`.
No gradient of a peer passes through it, and what it trains of its own (the perceptron of `attention`) it
trains by its own loss. `one` is another kind: its peers share a trunk, and its teacher trains them too.
"""

from torch import nn

from lipkd.config.sections import CohortConfig
from lipkd.model.methods.attention import Attention
from lipkd.model.methods.consistency import OtherViews
from lipkd.model.methods.dml import MutualLearning
from lipkd.model.methods.independent import Independent
from lipkd.model.methods.kdcl import BestLoss, MeanLogits, MinLogit
from lipkd.model.methods.one import GatedBranches
from lipkd.model.methods.sequence import SequenceLevel
from lipkd.model.methods.teaching import Teaching

METHODS: dict[str, type[nn.Module]] = {
    "independent": Independent,
    "dml": MutualLearning,
    "kdcl-mean": MeanLogits,
    "kdcl-best-loss": BestLoss,
    "kdcl-min-logit": MinLogit,
    "attention": Attention,
    "consistency": OtherViews,
    "one": GatedBranches,
    "sequence": SequenceLevel,
}

__all__ = ["METHODS", "GatedBranches", "Teaching", "make_method"]


def make_method(cohort: CohortConfig, features: int) -> nn.Module:
    """The method that a configuration names, for peers with `features` features per frame.

    A single peer has nobody to learn from, whatever the name.
    """
    if cohort.peers == 1:
        return Independent()
    return GatedBranches(features, cohort.peers) if cohort.method == "one" else METHODS[cohort.method]()
