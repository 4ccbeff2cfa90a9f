import math

import pytest
import torch

from lipkd.ctc.decode import closed_list, confidences, greedy
from lipkd.ctc.losses import ctc_log_likelihood
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


def test_closed_list_takes_the_likeliest_sentence() -> None:
    """The frames say "ab" with an unsure last letter: greedy reads "aa", the list knows only "ab" and "b"."""
    a, b = 2, 3
    logits = logits_of([a, 0, a, 0]) * 5
    logits[0, 2, b] = 4.9
    lengths = torch.tensor([4])
    assert greedy(logits, lengths, Alphabet()) == ["aa"]
    assert closed_list(logits, lengths, Alphabet(), ["b", "ab"]) == ["ab"]


def test_closed_list_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uniform over two frames and 28 symbols: "a" has the paths aa, a-, -a; "ab" one; "abc" none. In parts as well."""
    logits, lengths = torch.zeros(2, 2, 28), torch.tensor([2, 1])
    scores = ctc_log_likelihood(logits[:1].repeat(3, 1, 1), torch.tensor([2] * 3), *padded(["a", "ab", "abc"]))
    expected = [math.log(3 / 28**2), math.log(1 / 28**2), -math.inf]
    assert scores.tolist() == pytest.approx(expected)
    for rows in (2048, 2):
        monkeypatch.setattr("lipkd.ctc.decode.ROWS", rows)
        assert closed_list(logits, lengths, Alphabet(), ["abc", "ab", "a", "b"]) == ["a", "a"]


def test_confidence_by_hand() -> None:
    """Uniform over two frames and 28 symbols: "a" has three paths, "ab" one and two letters, "abc" none."""
    logits, lengths = torch.zeros(4, 2, 28), torch.tensor([2, 2, 2, 2])
    texts = ["a", "Ab!", "abc", ""]
    assert confidences(logits, lengths, Alphabet(), texts) == pytest.approx([3 / 28**2, 1 / 28, 0.0, 0.0])
    assert confidences(logits[:1], lengths[:1], Alphabet(), [""]) == [0.0]
    sure = logits_of([2, 0, 3]) * 100
    assert confidences(sure, torch.tensor([3]), Alphabet(), ["ab"]) == pytest.approx([1.0])


def padded(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    encoded = [torch.tensor(Alphabet().encode(text)) for text in texts]
    return torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True), torch.tensor([len(e) for e in encoded])
