"""Averages of weights over the steps of training: what is read with and kept, beside the weights that are trained.

    average ← d · average + (1 - d) · weights        d = min(decay, (1 + n) / (10 + n)) in step n

The last steps of stochastic optimisation wander around a minimum, and their mean lies nearer to it (Polyak &
Juditsky 1992). With the full decay from the first step on, the average would be mostly the random
initialisation for the first 1 / (1 - decay) steps, so it begins short and grows: after n steps it reaches
back about n / 9 of them, until that is more than the decay's own reach.
"""

import copy

import torch
from torch import nn

from lipkd.model.cohort import Cohort


def averaged_copy(cohort: Cohort) -> Cohort:
    """A cohort with the same weights, to be moved by `follow` and never trained."""
    average = copy.deepcopy(cohort).requires_grad_(False)
    for module in average.modules():
        if isinstance(module, nn.RNNBase):
            module.flatten_parameters()  # a copy's weights lie apart, and cuDNN would gather them at every call
    return average


def effective_decay(decay: float, step: int) -> float:
    """d in a step, counted from 0."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def follow(average: Cohort, cohort: Cohort, decay: float, step: int) -> None:
    """Move the average towards the weights as they are after a step, counted from 0."""
    share = 1 - effective_decay(decay, step)
    for mean, now in zip(average.parameters(), cohort.parameters(), strict=True):
        mean.lerp_(now, share)
