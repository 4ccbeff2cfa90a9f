"""A cohort: P peers that learn from the same batches, a word-level warm start for each, and a method.

    L_i = CTC_i + λ · τ² · mean KL(target_i ‖ softmax(z_i / τ)) + word weight · CE_i

The peers' losses are added and differentiated once; as no parameter is shared and every target is
detached, each peer gets exactly the gradient of its own L_i. (In method `one` the peers are branches on one
trunk, which belongs to the cohort.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipkd.config.trial_config import TrialConfig
from lipkd.ctc.losses import ctc_per_clip, distillation, taught_frames, valid_frames
from lipkd.data.loader import IGNORE, Batch
from lipkd.model.lipnet import Branch, LipNet, Trunk, network_shape
from lipkd.model.methods import CohortShape, Outputs, Teaching, make_method
from lipkd.runtime.seeds import derive
from lipkd.text import Alphabet


@dataclass(frozen=True)
class Losses:
    """The loss of one batch: `total` to differentiate, `terms` (detached scalars) by metric name."""

    total: Tensor
    terms: dict[str, Tensor]


class Cohort(nn.Module):
    """`peers` are networks (they may differ in width), or branches on a shared `trunk`; `method` says who learns
    what from whom.

    `word_heads` map a peer's hidden states to the words of the training transcripts, frame by frame;
    they are there for the warm start only and are not deployed.
    """

    def __init__(self, config: TrialConfig, *, picture: tuple[int, int, int], n_words: int) -> None:
        """picture (height, width, channels); n_words: size of the training vocabulary, 0 for no warm start.

        Peer i starts from the weights that (seed, i) give, whatever the number of peers and the method.
        """
        super().__init__()
        self.config = config.cohort
        self.alphabet = Alphabet(config.data.alphabet)
        self.peers = nn.ModuleList()
        self.word_heads = nn.ModuleList()
        self.trunk: Trunk | None = None
        with torch.random.fork_rng(devices=[]):
            whole = []
            for index, width in enumerate(config.widths):
                field = "network.width" if config.cohort.widths is None else f"cohort.widths.{index}"
                shape = network_shape(
                    config.network.name, width, picture=picture, symbols=self.alphabet.size, field=field
                )
                torch.manual_seed(derive(config.seed, "peer", index))
                whole.append(LipNet(shape, config.network.dropout))
                if n_words:
                    self.word_heads.append(nn.Linear(2 * shape.hidden, n_words + 1))
            torch.manual_seed(derive(config.seed, "method"))
            cohort_shape = CohortShape(len(whole), shape.features, self.alphabet)
            self.method = make_method(config.cohort.method, cohort_shape)
            if self.method.shares_trunk:
                self.trunk, _ = whole[0].split()
                self.peers.extend(network.split()[1] for network in whole)
            else:
                self.peers.extend(whole)

    @property
    def branches(self) -> list[Branch]:
        """The peers, with their type: a whole network is a branch too."""
        return cast("list[Branch]", list(self.peers))

    def network(self, index: int) -> LipNet:
        """A peer as a whole network; of a branch and the shared trunk a copy."""
        branch = self.branches[index]
        return cast("LipNet", branch) if self.trunk is None else LipNet.joined(self.trunk, branch)

    def apply_schedule(self, config: TrialConfig) -> None:
        """Take the cohort section and the dropout of `config` from now on; the networks stay as they are."""
        self.config = config.cohort
        for part in (*self.branches, self.trunk):
            if part is not None:
                part.dropout_share = config.network.dropout

    def losses(
        self, batch: Batch, *, weight: float, word_weight: float, generators: list[torch.Generator] | None = None
    ) -> Losses:
        """All peers' losses on a batch; `weight` is λ now, `generators` (one per peer) switch dropout on."""
        draws = generators or (None,) * len(self.peers)
        outputs = self._outputs(batch, draws)
        teaching = self.method.teach(outputs, batch)
        strings = self._encoded_strings(teaching, batch.device)
        mask = valid_frames(batch.lengths, batch.n_frames, batch.device)
        total = torch.zeros((), device=batch.device)
        terms = {}
        for index, (hidden, z) in enumerate(zip(outputs.hidden, outputs.logits, strict=True)):
            own = ctc_per_clip(z, batch.lengths, batch.targets, batch.target_lengths).mean()
            terms[f"train/ctc/peer_{index}"] = own.detach()
            total = total + own
            with torch.set_grad_enabled(weight > 0):  # with λ = 0 the term is measured only
                distill = self._distill(z, teaching.targets[index] if teaching.targets else (), strings, batch, mask)
            if distill is not None:
                terms[f"train/distill/peer_{index}"] = distill.detach()
                if weight > 0:
                    total = total + weight * distill
            if word_weight > 0 and len(self.word_heads):
                words = word_loss(self.word_heads[index](hidden), batch.words)
                terms[f"train/words/peer_{index}"] = words.detach()
                total = total + word_weight * words
        with torch.no_grad():
            together = ctc_per_clip(teaching.ensemble, batch.lengths, batch.targets, batch.target_lengths).mean()
        terms["train/ctc_ensemble"] = together
        terms["train/loss"] = total.detach() / len(self.peers)
        if teaching.loss is not None:
            total = total + teaching.loss
        if teaching.weights is not None:
            for index, share in enumerate(teaching.weights.mean(0)):
                terms[f"train/weight/peer_{index}"] = share
        return Losses(total, terms)

    def _outputs(self, batch: Batch, draws: Sequence[torch.Generator | None]) -> Outputs:
        """What every peer makes of its view of the batch."""
        peers, views = self.branches, [view.values() for view in batch.views]
        if self.trunk is None:
            networks = cast("list[LipNet]", peers)
            by_peer = views if len(views) > 1 else views * len(peers)
            runs = zip(networks, by_peer, draws, strict=True)
            states = [network(values, batch.lengths, draw) for network, values, draw in runs]
            mean = None
        else:
            encoded = [self.trunk.encode(values, batch.lengths, draws[i]) for i, values in enumerate(views)]
            by_peer = encoded if len(views) > 1 else encoded * len(peers)
            heads = zip(peers, by_peer, draws, strict=True)
            states = [peer.classify(features, batch.lengths, draw) for peer, features, draw in heads]
            mean = torch.stack(encoded).mean(0)
        hidden, logits = zip(*states, strict=True)
        return Outputs(logits, hidden, mean)

    def _encoded_strings(self, teaching: Teaching, device: torch.device) -> tuple[Tensor, Tensor] | None:
        """The strings to learn as symbols (B, L), padded, and their lengths (B,); None when there are none to learn."""
        encoded = [torch.tensor(self.alphabet.encode(text), dtype=torch.long) for text in teaching.strings]
        if not encoded:
            return None
        padded = nn.utils.rnn.pad_sequence(encoded, batch_first=True).to(device)
        return padded, torch.tensor([len(symbols) for symbols in encoded])

    def _distill(
        self, z: Tensor, targets: Sequence[Tensor], strings: tuple[Tensor, Tensor] | None, batch: Batch, mask: Tensor
    ) -> Tensor | None:
        """The distillation loss of a peer with logits z (B, T, V), a scalar: against its target logits or the
        strings; None when the method teaches nothing. mask (B, T) of valid frames."""
        config = self.config
        if targets:
            divergences = [
                distillation(z, target, taught_frames(target, mask, config.frames, config.window), config.temperature)
                for target in targets
            ]
            return torch.stack(divergences).mean()
        if strings is None:
            return None
        padded, lengths = strings
        known = lengths > 0  # an empty string would teach the peers to be silent
        if not known.any():
            return torch.zeros((), device=z.device)
        losses = ctc_per_clip(z, batch.lengths, padded, lengths)
        return torch.where(known.to(z.device), losses, 0.0).sum() / known.sum()

    @torch.no_grad()
    def infer(self, batch: Batch) -> tuple[list[Tensor], Tensor]:
        """Each peer's logits and the ensemble's, all (B, T, V), without dropout."""
        outputs = self._outputs(batch, (None,) * len(self.peers))
        return list(outputs.logits), self.method.ensemble(outputs, batch.lengths)

    def inference_state(self) -> dict[str, Tensor]:
        """The tensors that `infer` needs, named as in `state_dict`."""
        kept = ("peers.", "trunk.", "method.") if self.method.weighs_at_inference else ("peers.", "trunk.")
        return {name: value for name, value in self.state_dict().items() if name.startswith(kept)}

    def load_inference_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `inference_state` gave; other tensors are passed over.

        Raises KeyError for a tensor that is not there, RuntimeError for one of another shape.
        """
        self.load_state_dict({**self.state_dict(), **{name: tensors[name] for name in self.inference_state()}})

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters whose gradients are clipped together: a group per peer, one for a shared trunk, one for the
        method."""
        groups = [list(peer.parameters()) for peer in self.peers]
        for group, head in zip(groups, self.word_heads, strict=False):
            group.extend(head.parameters())
        trunk = [] if self.trunk is None else list(self.trunk.parameters())
        return [group for group in (*groups, trunk, list(self.method.parameters())) if group]


def word_loss(scores: Tensor, words: Tensor) -> Tensor:
    """Mean cross-entropy of framewise word scores (B, T, N) against labels (B, T); 0 when none is known."""
    known = (words != IGNORE).sum().clamp(min=1)
    return F.cross_entropy(scores.flatten(0, 1), words.flatten(), ignore_index=IGNORE, reduction="sum") / known
