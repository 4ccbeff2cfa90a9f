"""Each method's targets by hand: one clip, three frames, three symbols (blank, a, b), two peers."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lipkd.alignment import align
from lipkd.batches import Batch, ClipReader
from lipkd.cohort import Cohort
from lipkd.config import parse_config
from lipkd.losses import distillation, taught_frames, valid_frames
from lipkd.methods import METHODS, make_method
from lipkd.methods.dml import MutualLearning
from lipkd.methods.independent import Independent
from lipkd.methods.kdcl import BestLoss, MeanLogits, MinLogit
from lipkd.methods.sequence import SequenceLevel
from lipkd.store import Clip, ClipStore
from lipkd.text import Alphabet

ALPHABET = Alphabet(" a")  # blank 0, space 1, a 2
LN2 = math.log(2)
TEACHING = sorted(set(METHODS) - {"independent"})


def batch(lengths: tuple[int, ...] = (3,), targets: tuple[int, ...] = (2,)) -> Batch:
    n = len(lengths)
    clip = Clip("s/1", "s", 0, 3, 25.0, "a", (), "1.mp4")
    return Batch(
        clips=(clip,) * n,
        frames=torch.zeros(n, 3, 1, 1, 1, dtype=torch.uint8),
        gain=torch.ones(n, 1),
        offset=torch.zeros(n, 1),
        lengths=torch.tensor(lengths),
        targets=torch.tensor([targets] * n),
        target_lengths=torch.tensor([len(targets)] * n),
        words=torch.zeros(n, 3, dtype=torch.long),
    )


def frames(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor([rows], dtype=torch.float32)


ONE = frames((0, 0, 2), (0, 0, 4), (2, 0, 0))
OTHER = frames((2, 0, 0), (0, 2, 4), (4, 0, 2))


def test_dml_learns_from_the_others() -> None:
    teaching = MutualLearning()([ONE, OTHER], batch(), ALPHABET)
    assert teaching.targets[0] == (OTHER,) and teaching.targets[1] == (ONE,)
    torch.testing.assert_close(teaching.ensemble, frames((1, 0, 1), (0, 1, 4), (3, 0, 1)))
    three = MutualLearning()([ONE, OTHER, ONE + 1], batch(), ALPHABET)
    assert [len(targets) for targets in three.targets] == [2, 2, 2]


def test_kdcl_mean_by_hand() -> None:
    teaching = MeanLogits()([ONE, OTHER], batch(), ALPHABET)
    for targets in teaching.targets:
        torch.testing.assert_close(targets[0], frames((1, 0, 1), (0, 1, 4), (3, 0, 1)))


def test_kdcl_best_loss_takes_the_better_peer_of_each_clip() -> None:
    """Clip 0 is read better by the first peer, clip 1 by the second."""
    good, bad = frames((0, 0, 9), (0, 0, 9), (9, 0, 0)), frames((0, 9, 0), (0, 9, 0), (0, 9, 0))
    first, second = torch.cat([good, bad]), torch.cat([bad, good])
    teaching = BestLoss()([first, second], batch((3, 3)), ALPHABET)
    torch.testing.assert_close(teaching.targets[0][0], torch.cat([good, good]))


def test_kdcl_min_logit_by_hand() -> None:
    """The mean spells "a" best as a in frame 1 (and in frame 0, a tie that blank wins: it comes first), blank after.

    Frame 1, true symbol a: (0,0,4) - 4 = (-4,-4,0) and (0,2,4) - 4 = (-4,-2,0); the smallest is (-4,-4,0).
    Frame 2, true symbol blank: (2,0,0) - 2 = (0,-2,-2) and (4,0,2) - 4 = (0,-4,-2); the smallest is (0,-4,-2).
    """
    target = MinLogit()([ONE, OTHER], batch(), ALPHABET).targets[0][0]
    torch.testing.assert_close(target[0, 1:], torch.tensor([[-4.0, -4.0, 0.0], [0.0, -4.0, -2.0]]))
    truth = align((ONE + OTHER) / 2, torch.tensor([3]), torch.tensor([[2]]), torch.tensor([1]))
    assert truth.tolist()[0][1:] == [2, 0]
    assert target[0, 0, truth[0, 0]] == 0


def test_sequence_learns_what_the_ensemble_says() -> None:
    """The mean posterior says a in frame 1 alone; a clip on which all say blank teaches nothing."""
    silent = frames((9, 0, 0), (9, 0, 0), (9, 0, 0))
    both = [torch.cat([z, silent]) for z in (ONE, OTHER)]
    teaching = SequenceLevel()(both, batch((3, 3)), ALPHABET)
    assert teaching.strings == ("a", "")
    assert teaching.targets == ()
    posterior = (ONE.softmax(-1) + OTHER.softmax(-1)) / 2
    torch.testing.assert_close(teaching.ensemble[:1].exp(), posterior)


def test_alignment_by_hand() -> None:
    """ "aa" needs a blank in between; the likeliest of the paths in four frames is a - a a here."""
    logits = torch.tensor([[[0.0, 0, 5], [3, 0, 1], [0, 0, 5], [0, 0, 5]]])
    path = align(logits, torch.tensor([4]), torch.tensor([[2, 2]]), torch.tensor([2]))
    assert path.tolist() == [[2, 0, 2, 2]]
    padded = align(logits, torch.tensor([3]), torch.tensor([[2, 0]]), torch.tensor([1]))
    assert padded[0, 3] == 0
    impossible = align(logits, torch.tensor([2]), torch.tensor([[2, 2]]), torch.tensor([2]))
    assert impossible.tolist() == [[0, 0, 0, 0]]


def test_taught_frames_by_hand() -> None:
    target = torch.zeros(1, 7, 3)
    target[0, :, 0] = 1.0
    target[0, 3, 2] = target[0, 6, 2] = 5.0  # spikes in frames 3 and 6; 6 is padding
    mask = valid_frames(torch.tensor([6]), 7, target.device)
    assert taught_frames(target, mask, "all", 1).tolist() == [[True] * 6 + [False]]
    assert taught_frames(target, mask, "spikes", 1).nonzero()[:, 1].tolist() == [3]
    assert taught_frames(target, mask, "window", 1).nonzero()[:, 1].tolist() == [2, 3, 4]
    blank = torch.zeros(1, 7, 3).index_fill(2, torch.tensor([0]), 1.0)
    assert distillation(target, blank, taught_frames(blank, mask, "spikes", 1), 2.0) == 0


def test_dml_divergence_by_hand() -> None:
    """Peer 0 says thirds, peer 1 (1/2, 1/4, 1/4) in every frame, τ = 1."""
    own, other = torch.zeros(1, 3, 3), frames(*(((LN2, 0.0, 0.0),) * 3))
    mask = valid_frames(torch.tensor([3]), 3, own.device)
    expected = 0.5 * math.log(1.5) + 0.5 * math.log(0.75)
    assert distillation(own, other, mask, 1.0).item() == pytest.approx(expected)
    backward = (math.log(2 / 3) + 2 * math.log(4 / 3)) / 3
    assert distillation(other, own, mask, 1.0).item() == pytest.approx(backward)


class Fixed(nn.Module):
    """A peer whose logits are its parameter."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.z = nn.Parameter(logits.clone())

    def forward(self, values: Tensor, lengths: Tensor, generator: Any = None) -> tuple[Tensor, Tensor]:
        return self.z, self.z


def cohort_of(method: str, peers: list[Tensor], **cohort: Any) -> Cohort:
    value = {"data": {"store": "x", "alphabet": " a"}, "cohort": {"method": method, "peers": len(peers), **cohort}}
    made = Cohort(parse_config({**value, "network": {"width": 0.125}}), picture=(16, 16, 1), n_words=0)
    made.peers = nn.ModuleList(Fixed(z) for z in peers)
    return made


@pytest.mark.parametrize("method", TEACHING)
@pytest.mark.parametrize("choice", ["all", "spikes", "window"])
def test_gradients_stay_finite_on_padded_and_blank_rows(method: str, choice: str) -> None:
    """Clip 0 is ordinary, clip 1 has no frame at all, clip 2 is blank for every peer."""
    torch.manual_seed(0)
    blank = torch.full((1, 3, 3), -30.0)
    blank[:, :, 0] = 30.0
    peers = [torch.cat([z, torch.randn(1, 3, 3), blank]) for z in (ONE, OTHER)]
    cohort = cohort_of(method, peers, frames=choice)
    losses = cohort.losses(batch((3, 0, 3)), weight=1.0, word_weight=0.0)
    losses.total.backward()
    assert all(value.isfinite() for value in losses.terms.values())
    for peer in cohort.peers:
        assert isinstance(peer, Fixed) and peer.z.grad is not None
        assert peer.z.grad.isfinite().all()
        assert peer.z.grad[1].abs().max() == 0


@pytest.mark.parametrize("method", TEACHING)
def test_a_peer_gets_the_gradient_of_its_own_loss_alone(method: str) -> None:
    """Differentiating one peer's terms leaves no gradient in the other: targets are detached."""
    cohort = cohort_of(method, [ONE, OTHER])
    one, other = cohort.peers
    assert isinstance(one, Fixed) and isinstance(other, Fixed)
    teaching = cohort.method([one.z.detach(), other.z.detach()], batch(), ALPHABET)
    mask = valid_frames(torch.tensor([3]), 3, one.z.device)
    loss = cohort._distill(one.z, 0, teaching, batch(), mask)
    assert loss is not None
    loss.backward()
    assert other.z.grad is None
    assert one.z.grad is not None and one.z.grad.abs().max() > 0


@pytest.mark.parametrize("method", sorted(METHODS))
def test_one_peer_is_vanilla_to_the_bit(method: str, tiny_store: ClipStore) -> None:
    def gradients(name: str) -> list[Tensor]:
        config = parse_config({"data": {"store": "x"}, "network": {"width": 0.125}, "cohort": {"method": name}})
        cohort = Cohort(config, picture=(24, 48, 3), n_words=0)
        clips = next(ClipReader(tiny_store, Alphabet()).plain(tiny_store.clips[:2], 2))
        cohort.losses(clips, weight=1.0, word_weight=0.0).total.backward()
        return [p.grad for p in cohort.parameters() if p.grad is not None]

    assert isinstance(
        make_method(parse_config({"data": {"store": "x"}, "cohort": {"method": method}}).cohort), Independent
    )
    one, vanilla = gradients(method), gradients("independent")
    assert len(one) == len(vanilla) > 0
    assert all(torch.equal(a, b) for a, b in zip(one, vanilla, strict=True))


@pytest.mark.parametrize("method", TEACHING)
@pytest.mark.parametrize("peers", [2, 3])
def test_every_method_teaches_any_number_of_peers(method: str, peers: int, tiny_store: ClipStore) -> None:
    config = parse_config(
        {"data": {"store": "x"}, "network": {"width": 0.125}, "cohort": {"method": method, "peers": peers}}
    )
    cohort = Cohort(config, picture=(24, 48, 3), n_words=0)
    clips = next(ClipReader(tiny_store, Alphabet()).plain(tiny_store.clips[:2], 2))
    losses = cohort.losses(clips, weight=1.0, word_weight=0.0)
    losses.total.backward()
    assert {f"train/distill/peer_{i}" for i in range(peers)} <= losses.terms.keys()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in cohort.peers.parameters())
