import torch

from lipkd.decode import greedy
from lipkd.text import Alphabet


def logits_of(path: list[int]) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([path]), 28).float()


def test_repeats_merge_blanks_drop_and_spaces_stay_single() -> None:
    a, b, space, blank = 2, 3, 1, 0
    path = [space, a, a, blank, a, b, space, blank, space, b, space, space]
    assert greedy(logits_of(path), torch.tensor([len(path)]), Alphabet()) == ["aab b"]


def test_padded_frames_are_not_read() -> None:
    assert greedy(logits_of([2, 3, 4, 5]), torch.tensor([2]), Alphabet()) == ["ab"]
    assert greedy(logits_of([2, 3]), torch.tensor([0]), Alphabet()) == [""]
