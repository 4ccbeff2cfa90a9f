"""Several views of a clip, and which of them counts."""

import torch
from torch import Tensor

from lipkd.ctc.tta import most_confident
from lipkd.text import Alphabet

ALPHABET = Alphabet()
A, B = ALPHABET.encode("ab")
N_SYMBOLS = 28


def logits_of(*paths: tuple[int, float]) -> Tensor:
    """Logits (B, 3, V) of clips with the same symbol in all of three frames, each at that probability."""
    logits = torch.full((len(paths), 3, N_SYMBOLS), 0.0)
    for row, (symbol, probability) in enumerate(paths):
        rest = (1 - probability) / (N_SYMBOLS - 1)
        logits[row] = torch.tensor(rest).log()
        logits[row, :, symbol] = torch.tensor(probability).log()
    return logits


def test_the_most_confident_view_of_each_clip_counts() -> None:
    one, other = logits_of((A, 0.9), (A, 0.5), (A, 0.7)), logits_of((B, 0.6), (B, 0.8), (B, 0.7))
    lengths = torch.tensor([3, 3, 3])
    chosen = most_confident([one, other], lengths, ALPHABET)
    assert torch.equal(chosen, torch.stack([one[0], other[1], one[2]]))
    assert most_confident([one], lengths, ALPHABET) is one


def test_a_view_with_an_empty_hypothesis_is_never_the_most_confident() -> None:
    silent, faint = logits_of((0, 0.99)), logits_of((A, 0.4))
    assert torch.equal(most_confident([silent, faint], torch.tensor([3]), ALPHABET), faint)


def test_padded_frames_do_not_decide() -> None:
    one, other = logits_of((A, 0.6)), logits_of((B, 0.5))
    other[0, 2, B] = 50.0
    assert torch.equal(most_confident([one, other], torch.tensor([2]), ALPHABET), one)
