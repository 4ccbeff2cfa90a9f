"""On-the-fly native ensemble (Lan et al. 2018, section 3): one trunk, P branches, and a gate that mixes them.

    x = trunk(frames)        z_i = branch_i(x)        g = softmax(gate(x)), one weight per branch and clip
    ensemble z_e = Σ g_i z_i
    loss = Σ CTC(z_i) + CTC(z_e) + KL(mean of g over the clips ‖ 1/P)
           + λ · τ² · Σ KL(softmax(z_e / τ), detached ‖ softmax(z_i / τ))

The trunk is LipNet's convolutions, a branch its recurrent layers and output. As in the paper the teacher's CTC
trains the gate, the branches and the trunk; only as a target is it detached. That couples the branches:
a mean of CTC posteriors is worth something only when they spike on the same frames, and the teacher's CTC asks
for just that.

The gate weighs a clip, not each of its frames. The paper's sample is a picture with one label, and the
sample with one label here is the clip; a gate free to switch branches between frames could say a letter twice,
or not at all, where they place it differently. It sees the trunk's features as a mean over the clip's frames,
standardised within the clip instead of the paper's batch normalisation, so that a clip's weights do not depend
on the clips beside it. All its weights start at 0: at first the ensemble is the mean.

The third term is not the paper's. A branch with more weight gets more of the teacher's gradient, is soon the better
one, and gets more weight still: without the term one of two branches had 0.89 of the weight after 5 epochs on the
synthetic corpus, and a teacher that is one of its pupils teaches the other alone. The term leaves the gate free
to prefer a branch for a clip, but not for all of them (Shazeer et al. 2017 balance their experts likewise).

A deployed peer is trunk and branch, an ordinary LipNet; a checkpoint holds the trunk once, under `trunk.`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipkd.ctc.losses import ctc_per_clip, valid_frames
from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Method, Outputs, Teaching


class GatedBranches(Method):
    """A linear gate from a clip's trunk features (length `features`) to a weight for each of `peers` branches."""

    shares_trunk = True
    weighs_at_inference = True

    def __init__(self, features: int, peers: int) -> None:
        super().__init__()
        self.gate = nn.Linear(features, peers)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        """Nothing is detached but the targets: the teacher's loss trains branches and trunk too."""
        shares = self.shares(trunk_of(outputs), batch.lengths)
        ensemble = mix(outputs.logits, shares)
        loss = ctc_per_clip(ensemble, batch.lengths, batch.targets, batch.target_lengths).mean() + imbalance(shares)
        target = ensemble.detach()
        return Teaching(target, ((target,),) * len(outputs.logits), loss=loss, weights=shares.detach())

    def ensemble(self, outputs: Outputs, lengths: Tensor) -> Tensor:
        """The gated ensemble; the gate needs no transcript."""
        return mix(outputs.logits, self.shares(trunk_of(outputs), lengths))

    def shares(self, trunk: Tensor, lengths: Tensor) -> Tensor:
        """Weight (B, P) of each branch in each clip, adding up to 1; trunk (B, T, F), lengths (B,).

        Divided by √F, the gate's steps do not grow with the number of features: the optimiser moves all its
        weights by about the learning rate at once.
        """
        mask = valid_frames(lengths, trunk.shape[1], trunk.device)[:, :, None]
        mean = (trunk.float() * mask).sum(1) / mask.sum(1).clamp(min=1)
        seen = F.layer_norm(mean, mean.shape[-1:]) / mean.shape[-1] ** 0.5
        return self.gate(seen).float().softmax(-1)


def trunk_of(outputs: Outputs) -> Tensor:
    """The features (B, T, F) of the shared trunk."""
    assert outputs.trunk is not None, "the peers of `one` share a trunk"
    return outputs.trunk


def mix(logits: Sequence[Tensor], shares: Tensor) -> Tensor:
    """The ensemble's logits (B, T, V): Σ g_i z_i for shares g (B, P)."""
    return (shares[:, :, None, None] * torch.stack(tuple(logits), 1).float()).sum(1)


def imbalance(shares: Tensor) -> Tensor:
    """KL divergence of the branches' mean shares from equal ones, in nats, a scalar; shares (B, P)."""
    mean = shares.mean(0)
    return (mean * (mean.clamp(min=1e-8) * len(mean)).log()).sum()
