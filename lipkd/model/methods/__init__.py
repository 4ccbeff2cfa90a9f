"""Methods of online distillation: each says how the peers' targets come from all the peers' logits.

A method is called once a batch with the outputs of all peers and returns a `Teaching`. It detaches what it teaches
from, so that no gradient of a peer passes through it; what it trains of its own (the perceptron of `attention`) it
trains by its own loss. `one` is another kind: its peers share a trunk, and its teacher trains them too.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lipkd.model.methods.attention import Attention
from lipkd.model.methods.consistency import OtherViews
from lipkd.model.methods.dml import MutualLearning
from lipkd.model.methods.independent import Independent
from lipkd.model.methods.kdcl import BestLoss, MeanLogits, MinLogit
from lipkd.model.methods.one import GatedBranches
from lipkd.model.methods.sequence import SequenceLevel
from lipkd.model.methods.teaching import Method, Outputs, Teaching
from lipkd.text import Alphabet

__all__ = ["METHODS", "CohortShape", "Method", "Outputs", "Teaching", "make_method"]


@dataclass(frozen=True)
class CohortShape:
    """What a method may need to know of its cohort: `features` per frame between trunk and branch."""

    peers: int
    features: int
    alphabet: Alphabet


METHODS: dict[str, Callable[[CohortShape], Method]] = {
    "independent": lambda cohort: Independent(),
    "dml": lambda cohort: MutualLearning(),
    "kdcl-mean": lambda cohort: MeanLogits(),
    "kdcl-best-loss": lambda cohort: BestLoss(),
    "kdcl-min-logit": lambda cohort: MinLogit(),
    "attention": lambda cohort: Attention(cohort.alphabet),
    "consistency": lambda cohort: OtherViews(),
    "one": lambda cohort: GatedBranches(cohort.features, cohort.peers),
    "sequence": lambda cohort: SequenceLevel(cohort.alphabet),
}


def make_method(name: str, cohort: CohortShape) -> Method:
    """The method of that name. A single peer has nobody to learn from, whatever the name."""
    return Independent() if cohort.peers == 1 else METHODS[name](cohort)
