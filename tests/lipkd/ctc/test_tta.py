"""Several looks at a clip: what each shows, and which of them counts."""

import numpy as np
import torch
from torch import Tensor

from lipkd.ctc.tta import AS_TRAINED, SEVERAL, Look, surest
from lipkd.data.transforms import fitted
from lipkd.text import Alphabet

ALPHABET = Alphabet()
A, B = ALPHABET.encode("ab")
N_SYMBOLS = 28


def sees(*paths: tuple[int, float]) -> Tensor:
    """Logits (B, 3, V) of clips with the same symbol in all of three frames, each at that probability."""
    logits = torch.full((len(paths), 3, N_SYMBOLS), 0.0)
    for row, (symbol, probability) in enumerate(paths):
        rest = (1 - probability) / (N_SYMBOLS - 1)
        logits[row] = torch.tensor(rest).log()
        logits[row, :, symbol] = torch.tensor(probability).log()
    return logits


def test_each_clip_is_read_with_the_look_that_is_surest_of_it() -> None:
    one, other = sees((A, 0.9), (A, 0.5), (A, 0.7)), sees((B, 0.6), (B, 0.8), (B, 0.7))
    lengths = torch.tensor([3, 3, 3])
    chosen = surest([one, other], lengths, ALPHABET)
    assert torch.equal(chosen, torch.stack([one[0], other[1], one[2]]))
    assert surest([one], lengths, ALPHABET) is one


def test_a_look_that_says_nothing_is_never_the_surest() -> None:
    silent, faint = sees((0, 0.99)), sees((A, 0.4))
    assert torch.equal(surest([silent, faint], torch.tensor([3]), ALPHABET), faint)


def test_padded_frames_do_not_decide() -> None:
    one, other = sees((A, 0.6)), sees((B, 0.5))
    other[0, 2, B] = 50.0
    assert torch.equal(surest([one, other], torch.tensor([2]), ALPHABET), one)


def test_looks_show_the_clip_as_trained_nearer_and_mirrored() -> None:
    frames = np.random.default_rng(5).integers(0, 256, (4, 26, 52, 3), np.uint8)
    size, zoom = (20, 40), 1.1
    assert np.array_equal(AS_TRAINED.of(frames, size, zoom), fitted(frames, size, zoom))
    assert np.array_equal(Look(1.3).of(frames, size, zoom), fitted(frames, size, zoom * 1.3))
    mirrored = Look(1.3, mirrored=True).of(frames, size, zoom)
    assert np.array_equal(mirrored, Look(1.3).of(frames, size, zoom)[:, :, ::-1])
    assert mirrored.flags.c_contiguous and mirrored.shape == (4, *size, 3)
    assert SEVERAL[0] == AS_TRAINED and len(set(SEVERAL)) == len(SEVERAL) == 4
