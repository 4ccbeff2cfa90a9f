"""Each method's targets by hand: one clip, three frames, three symbols (blank, a, b), two peers."""

import math
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from lipkd.config.trial_config import parse_config
from lipkd.ctc.forced_alignment import align
from lipkd.ctc.losses import ctc_log_likelihood, distillation, taught_frames, valid_frames
from lipkd.data.loader import Batch, BatchView, ClipReader
from lipkd.data.store import Clip, ClipStore
from lipkd.model.cohort import Cohort
from lipkd.model.lipnet import Trunk
from lipkd.model.methods import METHODS, CohortShape, Outputs, make_method
from lipkd.model.methods.consistency import OtherViews
from lipkd.model.methods.dml import MutualLearning
from lipkd.model.methods.independent import Independent
from lipkd.model.methods.kdcl import BestLoss, MeanLogits, MinLogit
from lipkd.model.methods.one import GatedBranches, imbalance
from lipkd.model.methods.sequence import SequenceLevel
from lipkd.text import Alphabet

ALPHABET = Alphabet(" a")  # blank 0, space 1, a 2
LN2 = math.log(2)
TEACHING = sorted(set(METHODS) - {"independent"})


def batch(lengths: tuple[int, ...] = (3,), targets: tuple[int, ...] = (2,)) -> Batch:
    n = len(lengths)
    clip = Clip("s/1", "s", 0, 3, 25.0, "a", (), "1.mp4")
    return Batch(
        clips=(clip,) * n,
        views=(BatchView(torch.zeros(n, 3, 1, 1, 1, dtype=torch.uint8), torch.ones(n, 1), torch.zeros(n, 1)),),
        lengths=torch.tensor(lengths),
        targets=torch.tensor([targets] * n),
        target_lengths=torch.tensor([len(targets)] * n),
        words=torch.zeros(n, 3, dtype=torch.long),
    )


def frames(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor([rows], dtype=torch.float32)


def outputs(*logits: Tensor, trunk: Tensor | None = None) -> Outputs:
    """What peers with those logits (1, 3, 3) put out; their hidden states do not matter here."""
    return Outputs(logits, logits, trunk)


ONE = frames((0, 0, 2), (0, 0, 4), (2, 0, 0))
OTHER = frames((2, 0, 0), (0, 2, 4), (4, 0, 2))


def test_dml_learns_from_the_others() -> None:
    teaching = MutualLearning().teach(outputs(ONE, OTHER), batch())
    assert torch.equal(teaching.targets[0][0], OTHER) and torch.equal(teaching.targets[1][0], ONE)
    torch.testing.assert_close(teaching.ensemble, frames((1, 0, 1), (0, 1, 4), (3, 0, 1)))
    three = MutualLearning().teach(outputs(ONE, OTHER, ONE + 1), batch())
    assert [len(targets) for targets in three.targets] == [2, 2, 2]


def test_kdcl_mean_by_hand() -> None:
    teaching = MeanLogits().teach(outputs(ONE, OTHER), batch())
    for targets in teaching.targets:
        torch.testing.assert_close(targets[0], frames((1, 0, 1), (0, 1, 4), (3, 0, 1)))


def test_kdcl_best_loss_takes_the_better_peer_of_each_clip() -> None:
    """Clip 0 is read better by the first peer, clip 1 by the second."""
    good, bad = frames((0, 0, 9), (0, 0, 9), (9, 0, 0)), frames((0, 9, 0), (0, 9, 0), (0, 9, 0))
    first, second = torch.cat([good, bad]), torch.cat([bad, good])
    teaching = BestLoss().teach(outputs(first, second), batch((3, 3)))
    torch.testing.assert_close(teaching.targets[0][0], torch.cat([good, good]))


def test_kdcl_min_logit_by_hand() -> None:
    """The mean spells "a" best as a in frame 1 (and in frame 0, a tie that blank wins: it comes first), blank after.

    Frame 1, true symbol a: (0,0,4) - 4 = (-4,-4,0) and (0,2,4) - 4 = (-4,-2,0); the smallest is (-4,-4,0).
    Frame 2, true symbol blank: (2,0,0) - 2 = (0,-2,-2) and (4,0,2) - 4 = (0,-4,-2); the smallest is (0,-4,-2).
    """
    target = MinLogit().teach(outputs(ONE, OTHER), batch()).targets[0][0]
    torch.testing.assert_close(target[0, 1:], torch.tensor([[-4.0, -4.0, 0.0], [0.0, -4.0, -2.0]]))
    truth = align((ONE + OTHER) / 2, torch.tensor([3]), torch.tensor([[2]]), torch.tensor([1]))
    assert truth.tolist()[0][1:] == [2, 0]
    assert target[0, 0, truth[0, 0]] == 0


def test_sequence_learns_what_the_ensemble_says() -> None:
    """The mean posterior says a in frame 1 alone; a clip on which all say blank teaches nothing."""
    silent = frames((9, 0, 0), (9, 0, 0), (9, 0, 0))
    both = [torch.cat([z, silent]) for z in (ONE, OTHER)]
    teaching = SequenceLevel(ALPHABET).teach(outputs(*both), batch((3, 3)))
    assert teaching.strings == ("a", "")
    assert teaching.targets == ()
    posterior = (ONE.softmax(-1) + OTHER.softmax(-1)) / 2
    torch.testing.assert_close(teaching.ensemble[:1].exp(), posterior)


def test_one_mixes_what_its_gate_says() -> None:
    """Features 1 and 3 of the two valid frames, mean 2 and 4, standardised -1 and 1, over √2; padding counts nothing.

    A gate with weights (√2 ln 3 / 2) · (-1, 1) for the first branch and none for the second gives it
    the logit ln 3: weights 3/4 and 1/4, z_e = 3/4 z_0 + 1/4 z_1.
    """
    gated = GatedBranches(2, 2)
    trunk = torch.tensor([[[1.0, 3], [3, 5], [9, 9]]])
    torch.testing.assert_close(gated.shares(trunk, torch.tensor([2])), torch.full((1, 2), 0.5))
    with torch.no_grad():
        gated.gate.weight[0] = math.sqrt(2) * math.log(3) / 2 * torch.tensor([-1.0, 1.0])
    short = batch((2,))
    torch.testing.assert_close(gated.shares(trunk, short.lengths), torch.tensor([[0.75, 0.25]]), rtol=0, atol=1e-5)
    teaching = gated.teach(outputs(ONE, OTHER, trunk=trunk), short)
    torch.testing.assert_close(teaching.ensemble, frames((0.5, 0, 1.5), (0, 0.5, 4), (2.5, 0, 0.5)), rtol=0, atol=1e-4)
    assert [len(targets) for targets in teaching.targets] == [1, 1]


def test_the_teacher_of_one_trains_gate_branches_and_trunk() -> None:
    """Logits 0 everywhere: "a" has six paths of 27 in three frames, so the teacher's CTC is ln 4.5.

    With two branches of weight 1/2 each gets half of the teacher's gradient, which in frame t and symbol k is
    1/3 minus the share of the six paths that say k there: a in three, four, three of them.
    """
    gated, trunk = GatedBranches(2, 2), torch.tensor([[[0.0, 1.0]] * 3], requires_grad=True)
    peers = [torch.zeros(1, 3, 3, requires_grad=True) for _ in range(2)]
    teaching = gated.teach(outputs(*peers, trunk=trunk), batch())
    assert teaching.loss is not None
    assert teaching.loss.item() == pytest.approx(math.log(4.5))
    assert not any(target.requires_grad for targets in teaching.targets for target in targets)
    teaching.loss.backward()
    a = torch.tensor([3 / 6, 4 / 6, 3 / 6])
    expected = torch.stack([1 / 3 - (1 - a), torch.full((3,), 1 / 3), 1 / 3 - a], 1)[None] / 2
    for z in peers:
        assert z.grad is not None
        torch.testing.assert_close(z.grad, expected)
    apart = gated.teach(outputs(frames((0, 0, 2), (0, 0, 2), (0, 0, 2)), torch.zeros(1, 3, 3), trunk=trunk), batch())
    assert apart.loss is not None
    apart.loss.backward()
    assert gated.gate.weight.grad is not None and gated.gate.weight.grad.abs().max() > 0
    with torch.no_grad():
        gated.gate.weight += torch.randn(2, 2)
    teaching = gated.teach(outputs(ONE, OTHER, trunk=trunk), batch())
    assert teaching.loss is not None
    trunk.grad = None
    teaching.loss.backward()
    assert trunk.grad is not None and trunk.grad.isfinite().all()


def test_branches_are_balanced_over_clips_not_within_one() -> None:
    """Shares of 3/4, 1/4 in one clip and the reverse in the other cost nothing, 3/4 in both 3/4 ln 3/2 - 1/4 ln 2."""
    assert imbalance(torch.tensor([[0.75, 0.25], [0.25, 0.75]])).item() == pytest.approx(0, abs=1e-6)
    both = imbalance(torch.tensor([[0.75, 0.25], [0.75, 0.25]])).item()
    assert both == pytest.approx(0.75 * math.log(1.5) - 0.25 * LN2)
    three = imbalance(torch.tensor([[0.5, 0.25, 0.25]])).item()
    assert three == pytest.approx(0.5 * math.log(1.5) + 0.5 * math.log(0.75))


def test_the_gate_of_one_learns_which_branch_reads_which_clip() -> None:
    """Two clips that look different, two branches that read one each."""
    torch.manual_seed(0)
    gated, clips = GatedBranches(8, 2), batch((3, 3))
    trunk = torch.randn(2, 1, 8).expand(2, 3, 8)
    good, bad = frames((0, 0, 4), (0, 0, 4), (4, 0, 0)), frames((0, 4, 0), (0, 4, 0), (0, 4, 0))
    logits = [torch.cat([good, bad]), torch.cat([bad, good])]
    optimizer = torch.optim.Adam(gated.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss = gated.teach(outputs(*logits, trunk=trunk), clips).loss
        assert loss is not None
        loss.backward()
        optimizer.step()
    shares = gated.shares(trunk, clips.lengths)
    assert shares[0, 0] > 0.8 and shares[1, 1] > 0.8
    torch.testing.assert_close(shares.sum(1), torch.ones(2))


def test_consistency_learns_the_mean_of_the_others() -> None:
    teaching = OtherViews().teach(outputs(ONE, OTHER), batch())
    assert torch.equal(teaching.targets[0][0], OTHER) and torch.equal(teaching.targets[1][0], ONE)
    torch.testing.assert_close(teaching.ensemble, frames((1, 0, 1), (0, 1, 4), (3, 0, 1)))
    three = OtherViews().teach(outputs(ONE, OTHER, frames((4, 2, 0), (0, 0, 0), (0, 0, 2))), batch())
    torch.testing.assert_close(three.targets[0][0], frames((3, 1, 0), (0, 1, 2), (2, 0, 2)))


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


class FixedTrunk(nn.Module):
    """A trunk with the same features for every clip."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.features = torch.arange(shape[2]).float().expand(shape)

    def encode(self, values: Tensor, lengths: Tensor, generator: Any = None) -> Tensor:
        return self.features


class Fixed(nn.Module):
    """A peer whose logits are its parameter, alone or on a trunk."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.z = nn.Parameter(logits.clone())

    def forward(self, values: Tensor, lengths: Tensor, generator: Any = None) -> tuple[Tensor, Tensor]:
        return self.z, self.z

    def classify(self, features: Tensor, lengths: Tensor, generator: Any = None) -> tuple[Tensor, Tensor]:
        return self.z, self.z


def cohort_of(method: str, peers: list[Tensor], **cohort: Any) -> Cohort:
    value = {"data": {"store": "x", "alphabet": " a"}, "cohort": {"method": method, "peers": len(peers), **cohort}}
    made = Cohort(parse_config({**value, "network": {"width": 0.125}}), picture=(16, 16, 1), n_words=0)
    if made.trunk is not None:
        made.trunk = cast("Trunk", FixedTrunk((*peers[0].shape[:2], made.trunk.shape.features)))
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
    made = cohort._outputs(batch(), (None, None))
    teaching = cohort.method.teach(made, batch())
    mask = valid_frames(torch.tensor([3]), 3, one.z.device)
    strings = cohort._encoded_strings(teaching, one.z.device)
    loss = cohort._distill(made.logits[0], teaching.targets[0] if teaching.targets else (), strings, batch(), mask)
    assert loss is not None
    loss.backward()
    assert other.z.grad is None
    assert one.z.grad is not None and one.z.grad.abs().max() > 0


def targets_by_formula(method: str, z: list[Tensor], truth: Tensor) -> list[list[Tensor]]:
    """Per peer the logits to learn from, as the papers' formulas give them; the batch has one clip."""
    mean = (z[0] + z[1]) / 2
    if method in ("dml", "consistency"):
        return [[z[1]], [z[0]]]
    if method == "kdcl-best-loss":
        losses = [-ctc_log_likelihood(each, torch.tensor([3]), truth, torch.tensor([1])).item() for each in z]
        return [[z[losses.index(min(losses))]]] * 2
    if method == "kdcl-min-logit":
        true = align(mean, torch.tensor([3]), truth, torch.tensor([1]))[0]
        rows = [[min(float(each[0, t, s] - each[0, t, true[t]]) for each in z) for s in range(3)] for t in range(3)]
        return [[torch.tensor([rows])]] * 2
    return [[mean]] * 2  # kdcl-mean, and with weights that are equal `one`


@pytest.mark.parametrize("method", sorted(set(TEACHING) - {"attention", "sequence"}))
def test_loss_and_gradients_are_those_of_the_formula(method: str) -> None:
    """L_i = CTC_i + λ · τ² · mean over frames of KL(target ‖ softmax(z_i / τ)), its gradient
    ∂L_i/∂z_i = ∂CTC_i/∂z_i + λ · τ · (softmax(z_i / τ) - softmax(target / τ)) / T."""
    weight, temperature = 0.7, 2.0
    cohort = cohort_of(method, [ONE, OTHER], temperature=temperature)
    losses = cohort.losses(batch(), weight=weight, word_weight=0.0)
    losses.total.backward()
    truth, teacher = batch().targets, torch.zeros(())
    alone = [z.clone().requires_grad_() for z in (ONE, OTHER)]
    ctc = [-ctc_log_likelihood(z, torch.tensor([3]), truth, torch.tensor([1])).sum() for z in alone]
    if method == "one":  # the teacher has a CTC loss of its own, which reaches both branches
        mean = (alone[0] + alone[1]) / 2
        teacher = -ctc_log_likelihood(mean, torch.tensor([3]), truth, torch.tensor([1])).sum()
    (ctc[0] + ctc[1] + teacher).backward()
    for index, targets in enumerate(targets_by_formula(method, [ONE, OTHER], truth)):
        peer, own = cohort.peers[index], (ONE, OTHER)[index]
        q = (own / temperature).softmax(-1)
        divergence, pull = torch.zeros(()), torch.zeros_like(own)
        for target in targets:
            p = (target / temperature).softmax(-1)
            divergence += temperature**2 * (p * (p / q).log()).sum() / 3 / len(targets)
            pull += temperature * (q - p) / 3 / len(targets)
        assert losses.terms[f"train/ctc/peer_{index}"].item() == pytest.approx(ctc[index].item(), rel=1e-5)
        assert losses.terms[f"train/distill/peer_{index}"].item() == pytest.approx(divergence.item(), abs=1e-6)
        gradient, expected = peer.z.grad, alone[index].grad
        assert isinstance(gradient, Tensor) and expected is not None
        torch.testing.assert_close(gradient, expected + weight * pull, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", TEACHING)
def test_without_weight_the_distillation_is_measured_and_builds_no_graph(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With λ = 0 the terms are those with λ > 0; nothing of them is kept for a backward pass."""
    terms, graphs = [], []
    distill = Cohort._distill

    def watched(self: Cohort, *arguments: Any) -> Tensor | None:
        loss = distill(self, *arguments)
        graphs.append(loss is not None and loss.requires_grad)
        return loss

    monkeypatch.setattr(Cohort, "_distill", watched)
    for weight in (0.0, 1.0):
        losses = cohort_of(method, [ONE, OTHER]).losses(batch(), weight=weight, word_weight=0.0)
        terms.append({name: float(value) for name, value in losses.terms.items() if name.startswith("train/distill")})
    assert terms[0] == terms[1] and len(terms[0]) == 2
    assert graphs == [False, False, True, True]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_one_peer_is_vanilla_to_the_bit(method: str, tiny_store: ClipStore) -> None:
    def gradients(name: str) -> list[Tensor]:
        config = parse_config({"data": {"store": "x"}, "network": {"width": 0.125}, "cohort": {"method": name}})
        cohort = Cohort(config, picture=(24, 48, 3), n_words=0)
        clips = next(ClipReader(tiny_store, Alphabet()).plain(tiny_store.clips[:2], 2))
        cohort.losses(clips, weight=1.0, word_weight=0.0).total.backward()
        return [p.grad for p in cohort.parameters() if p.grad is not None]

    assert isinstance(make_method(method, CohortShape(1, 12, ALPHABET)), Independent)
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
