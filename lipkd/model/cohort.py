"""A cohort: P peers that learn from the same batches, a word-level warm start for each, and a method.

    L_i = CTC_i + λ · τ² · mean KL(target_i ‖ softmax(z_i / τ)) + word weight · CE_i

The peers' losses are added and differentiated once; as no parameter is shared and every target is
detached, each peer gets exactly the gradient of its own L_i. (In method `one` the peers share their
convolutions, on purpose.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipkd.config.trial_config import TrialConfig
from lipkd.ctc.losses import ctc_per_clip, distillation, taught_frames, valid_frames
from lipkd.data.loader import IGNORE, Batch
from lipkd.model.lipnet import LipNet, network_shape
from lipkd.model.methods import GatedBranches, Teaching, make_method
from lipkd.model.methods.one import mix
from lipkd.seeds import derive
from lipkd.text import Alphabet


@dataclass(frozen=True)
class Losses:
    """The loss of one batch: `total` to differentiate, `terms` (detached scalars) by metric name."""

    total: Tensor
    terms: dict[str, Tensor]


class Cohort(nn.Module):
    """`peers` are networks (they may differ in width), `method` says who learns what from whom.

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
        with torch.random.fork_rng(devices=[]):
            for index, width in enumerate(config.widths):
                field = "network.width" if config.cohort.widths is None else f"cohort.widths.{index}"
                shape = network_shape(
                    config.network.name, width, picture=picture, symbols=self.alphabet.size, field=field
                )
                torch.manual_seed(derive(config.seed, "peer", index))
                self.peers.append(LipNet(shape, config.network.dropout))
                if n_words:
                    self.word_heads.append(nn.Linear(2 * shape.hidden, n_words + 1))
            torch.manual_seed(derive(config.seed, "method"))
            self.method = make_method(config.cohort, shape.features)
        if self.gate is not None:
            for peer in self.networks[1:]:
                peer.share_trunk(self.networks[0])

    @property
    def networks(self) -> list[LipNet]:
        """The peers, with their type."""
        return cast("list[LipNet]", list(self.peers))

    @property
    def gate(self) -> GatedBranches | None:
        """The gate of method `one`; None where the peers share nothing."""
        return self.method if isinstance(self.method, GatedBranches) else None

    def apply_schedule(self, config: TrialConfig) -> None:
        """Take the cohort section and the dropout of `config` from now on; the networks stay as they are."""
        self.config = config.cohort
        for peer in self.networks:
            peer.dropout_share = config.network.dropout

    def losses(
        self, batch: Batch, *, weight: float, word_weight: float, generators: list[torch.Generator] | None = None
    ) -> Losses:
        """All peers' losses on a batch; `weight` is λ now, `generators` (one per peer) switch dropout on."""
        draws = generators or (None,) * len(self.peers)
        trunk, states = self._states(batch, draws)
        teaching = self._teach(trunk, [z for _, z in states], batch)
        mask = valid_frames(batch.lengths, batch.n_frames, batch.device)
        total = torch.zeros((), device=batch.device)
        terms = {}
        for index, (hidden, z) in enumerate(states):
            own = ctc_per_clip(z, batch.lengths, batch.targets, batch.target_lengths).mean()
            terms[f"train/ctc/peer_{index}"] = own.detach()
            total = total + own
            if (distill := self._distill(z, index, teaching, batch, mask)) is not None:
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

    def _states(
        self, batch: Batch, draws: Sequence[torch.Generator | None]
    ) -> tuple[Tensor | None, list[tuple[Tensor, Tensor]]]:
        """The features (B, T, F) of a shared trunk (mean over the views), or None; each peer's hidden states and
        logits (B, T, V)."""
        networks, views = self.networks, [view.values() for view in batch.views]
        if self.gate is None:
            seen = views if len(views) > 1 else views * len(networks)
            runs = zip(networks, seen, draws, strict=True)
            return None, [peer(values, batch.lengths, draw) for peer, values, draw in runs]
        encoded = [networks[0].encode(values, batch.lengths, draws[i]) for i, values in enumerate(views)]
        trunks = encoded if len(views) > 1 else encoded * len(networks)
        heads = zip(networks, trunks, draws, strict=True)
        states = [peer.classify(features, batch.lengths, draw) for peer, features, draw in heads]
        return torch.stack(encoded).mean(0), states

    def _teach(self, trunk: Tensor | None, logits: list[Tensor], batch: Batch) -> Teaching:
        """What the method makes of the peers' logits, one (B, T, V) each."""
        if self.gate is not None:
            return self.gate(trunk, logits, batch)
        return self.method([z.detach() for z in logits], batch, self.alphabet)

    def _distill(self, z: Tensor, index: int, teaching: Teaching, batch: Batch, mask: Tensor) -> Tensor | None:
        """What a peer with logits z (B, T, V) has to learn from the method now, a scalar; None when nothing."""
        config = self.config
        if teaching.targets:
            divergences = [
                distillation(z, target, taught_frames(target, mask, config.frames, config.window), config.temperature)
                for target in teaching.targets[index]
            ]
            return torch.stack(divergences).mean()
        if teaching.strings:
            encoded = [torch.tensor(self.alphabet.encode(text), dtype=torch.long) for text in teaching.strings]
            said = torch.tensor([len(symbols) > 0 for symbols in encoded])
            if not said.any():  # an empty string would teach the peers to be silent
                return torch.zeros((), device=z.device)
            lengths = torch.tensor([len(symbols) for symbols in encoded])
            padded = nn.utils.rnn.pad_sequence(encoded, batch_first=True).to(z.device)
            losses = ctc_per_clip(z, batch.lengths, padded, lengths)
            return torch.where(said.to(z.device), losses, 0.0).sum() / said.sum()
        return None

    @torch.no_grad()
    def read(self, batch: Batch) -> tuple[list[Tensor], Tensor]:
        """Each peer's logits and the ensemble's, all (B, T, V), without dropout.

        There is no transcript to weigh peers by, so the ensemble is the mean of the logits, but for `one`, whose
        gate needs none.
        """
        trunk, states = self._states(batch, (None,) * len(self.peers))
        logits = [z for _, z in states]
        if self.gate is None or trunk is None:
            return logits, torch.stack(logits).mean(0)
        return logits, mix(logits, self.gate.shares(trunk, batch.lengths))

    def deployed(self) -> dict[str, Tensor]:
        """The tensors that `read` needs, named as in `state_dict`."""
        kept = ("peers.",) if self.gate is None else ("peers.", "method.")
        return {name: value for name, value in self.state_dict().items() if name.startswith(kept)}

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters whose gradients are clipped together: a group per peer, one for a shared trunk, one for the
        method."""
        trunk = [] if self.gate is None else list(self.networks[0].trunk())
        shared = {id(parameter) for parameter in trunk}
        groups = [[p for p in peer.parameters() if id(p) not in shared] for peer in self.peers]
        for group, head in zip(groups, self.word_heads, strict=False):
            group.extend(head.parameters())
        return [group for group in (*groups, trunk, list(self.method.parameters())) if group]


def word_loss(scores: Tensor, words: Tensor) -> Tensor:
    """Mean cross-entropy of framewise word scores (B, T, N) against labels (B, T); 0 when none is known."""
    known = (words != IGNORE).sum().clamp(min=1)
    return F.cross_entropy(scores.flatten(0, 1), words.flatten(), ignore_index=IGNORE, reduction="sum") / known
