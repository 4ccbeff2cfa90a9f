"""Attention over peers (Borza et al. 2022): how well a peer reads a sample decides its weight in the target.

    features of peer i's prediction against the truth  →  perceptron  →  sum  →  sigmoid  =  w_i
    ensemble = Σ w_i z_i / Σ w_i        target of every peer = the ensemble, detached

The perceptron is trained by the CTC loss of the ensemble, in which the peers' logits are detached.
"""

import jiwer
import torch
from torch import Tensor, nn

from lipkd.ctc.decode import greedy
from lipkd.ctc.losses import ctc_per_clip
from lipkd.ctc.metrics import corpus_bleu
from lipkd.data.loader import Batch
from lipkd.model.methods.teaching import Method, Outputs, Teaching
from lipkd.text import Alphabet

FEATURES = 4  # CER, WER, 1 - BLEU and ln(1 + CTC per letter): all 0 for a perfect prediction
LARGEST = 2.0  # of a rate: insertions can push it far above 1 early on, when only CTC still tells peers apart
HIDDEN = 16


class Attention(Method):
    """A perceptron FEATURES → HIDDEN, shared by all peers, so any number of peers can be weighed."""

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.perceptron = nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN))

    def teach(self, outputs: Outputs, batch: Batch) -> Teaching:
        """Every peer's target is the weighted mean of all."""
        logits = [z.detach() for z in outputs.logits]
        stacked = torch.stack([z.float() for z in logits], 1)  # (B, P, T, V)
        features = torch.stack([prediction_features(z, batch, self.alphabet) for z in logits], 1)  # (B, P, FEATURES)
        weights = torch.sigmoid(self.perceptron(features).sum(-1))  # (B, P)
        shares = weights / weights.sum(1, keepdim=True)
        ensemble = (shares[:, :, None, None] * stacked).sum(1)
        loss = ctc_per_clip(ensemble, batch.lengths, batch.targets, batch.target_lengths).mean()
        return Teaching(ensemble.detach(), ((ensemble.detach(),),) * len(logits), loss=loss, weights=shares.detach())


@torch.no_grad()
def prediction_features(logits: Tensor, batch: Batch, alphabet: Alphabet) -> Tensor:
    """The errors of a peer's greedy hypothesis of each clip: (B, FEATURES), 0 perfect.

    Greedy, not beam search: the thesis beam-decoded every training batch, which made it eighteen times
    slower than without peers.
    """
    ctc = ctc_per_clip(logits, batch.lengths, batch.targets, batch.target_lengths)
    rates = []
    for clip, hypothesis in zip(batch.clips, greedy(logits, batch.lengths, alphabet), strict=True):
        reference = alphabet.letters(clip.text)
        bleu = corpus_bleu([reference.split()], [hypothesis.split()])
        rates.append([jiwer.cer(reference, hypothesis), jiwer.wer(reference, hypothesis), 1 - bleu])
    return torch.cat([torch.tensor(rates, device=logits.device).clamp(max=LARGEST), ctc.log1p()[:, None]], 1)
