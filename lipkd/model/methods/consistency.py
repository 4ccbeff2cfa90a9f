"""Consistency between views: CR-CTC (Yao et al. 2024, section 3), between peers instead of within one network.

    view_i = augment_i(clip)        target of peer i = 1/(P-1) · Σ over j ≠ i of z_j(view_j)

Every peer sees its own augmentation of the clip and learns to say what the others say of theirs. What changes
the time axis (pace, trimming, dropped frames) is the same for all views, or a frame of one would be
another moment of the other; the rest is each view's own. As in the paper there are 2.5 times as many
time masks as usual (`time_mask_factor`): where one peer sees nothing, the others, who do, teach it what must
have been said. The paper's two branches share their weights; ours are peers with weights of their own, so it is
mutual learning on top, and λ and τ are the cohort's. The paper's are τ = 1 and 0.2 of a sum over frames beside a
sum over letters, which in our means per frame and per letter is λ = 0.2 · T / L, 0.6 where a letter lasts three
frames.

The views themselves are made by `lipkd.data.loader`.
"""

import torch

from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Method, Outputs, Teaching


class OtherViews(Method):
    """The mean of the logits of the other peers, each of its own view; the ensemble is the mean of all."""

    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        logits = [z.detach() for z in outputs.logits]
        stacked = torch.stack(logits)
        others = [torch.cat([stacked[:i], stacked[i + 1 :]]).mean(0) for i in range(len(logits))]
        return Teaching(stacked.mean(0), tuple((z,) for z in others))
