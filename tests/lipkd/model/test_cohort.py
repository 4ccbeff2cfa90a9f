"""What distillation does to gradients: the mistakes of the replaced systems, and that they are not ours."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lipkd.config.sections import AugmentConfig
from lipkd.config.trial_config import parse_config
from lipkd.data.loader import Batch, ClipReader
from lipkd.data.store import ClipStore
from lipkd.model.cohort import Cohort
from lipkd.model.lipnet import LipNet
from lipkd.model.methods.attention import FEATURES, Attention, prediction_features
from lipkd.model.methods.teaching import Outputs
from lipkd.text import Alphabet


def cohort_of(**cohort: Any) -> Cohort:
    config = parse_config({"data": {"store": "x"}, "network": {"width": 0.125}, "cohort": cohort})
    return Cohort(config, picture=(24, 48, 3), n_words=6)


def batch_of(store: ClipStore) -> Batch:
    reader = ClipReader(store, Alphabet(), vocabulary={"bin": 1, "lay": 2, "set": 3})
    return next(reader.plain(store.clips[:4], 4))


def perfect_logits(batch: Batch, height: float) -> Tensor:
    """Logits (B, T, V) whose likeliest path spells each transcript, then blanks."""
    logits = torch.zeros(len(batch.clips), batch.n_frames, 28)
    for row, clip in enumerate(batch.clips):
        symbols = Alphabet().encode(clip.text)
        symbols += [0] * (logits.shape[1] - len(symbols))
        logits[row, torch.arange(logits.shape[1]), torch.tensor(symbols)] = height
    return logits


def gradients(cohort: Cohort, batch: Batch, peer: int, **weights: float) -> list[Tensor]:
    cohort.zero_grad()
    cohort.losses(batch, weight=weights.get("weight", 0.0), word_weight=weights.get("words", 0.0)).total.backward()
    return [p.grad.clone() for p in cohort.peers[peer].parameters() if p.grad is not None]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) > 0 and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_distillation_reaches_the_peers(tiny_store: ClipStore) -> None:
    """The thesis's did not: there the gradient with distillation was that of CTC to the last bit."""
    batch, cohort = batch_of(tiny_store), cohort_of(method="attention", peers=2)
    for peer in (0, 1):
        alone = gradients(cohort, batch, peer, weight=0.0)
        taught = gradients(cohort, batch, peer, weight=1.0)
        assert not equal(alone, taught)
        assert all(g.isfinite().all() for g in taught)


def test_without_weight_attention_is_independent_to_the_bit(tiny_store: ClipStore) -> None:
    batch = batch_of(tiny_store)
    attention, control = cohort_of(method="attention", peers=2), cohort_of(method="independent", peers=2)
    for peer in (0, 1):
        assert equal(gradients(attention, batch, peer), gradients(control, batch, peer))


@pytest.mark.parametrize("method", ["independent"])
def test_peer_0_of_independent_is_vanilla_to_the_bit(tiny_store: ClipStore, method: str) -> None:
    batch = batch_of(tiny_store)
    vanilla, two = cohort_of(method=method, peers=1), cohort_of(method=method, peers=2)
    assert equal(gradients(vanilla, batch, 0, words=1.0), gradients(two, batch, 0, words=1.0, weight=1.0))


def test_peers_start_different_and_the_same_for_every_method() -> None:
    one, other = cohort_of(method="attention", peers=2), cohort_of(method="independent", peers=3)
    for name, value in one.peers[0].state_dict().items():
        if value.ndim > 1 and "scales" not in name and "shifts" not in name:
            assert not torch.equal(value, one.peers[1].state_dict()[name]), name
    for peer in (0, 1):
        for name, value in one.peers[peer].state_dict().items():
            assert torch.equal(value, other.peers[peer].state_dict()[name]), name


def test_the_perceptron_learns_and_leaves_the_peers_alone(tiny_store: ClipStore) -> None:
    """A peer that reads well and one that guesses: the perceptron finds out whom to trust."""
    batch, method = batch_of(tiny_store), cohort_of(method="attention", peers=2).method
    before = copy.deepcopy(method.state_dict())
    optimizer = torch.optim.SGD(method.parameters(), 0.1)
    torch.manual_seed(0)
    guess = 4 * torch.randn(4, batch.n_frames, 28)
    logits = [perfect_logits(batch, 4.0).requires_grad_(), guess.requires_grad_()]
    losses = []
    for _ in range(30):
        teaching = method.teach(Outputs(tuple(logits), tuple(logits)), batch)
        optimizer.zero_grad()
        assert teaching.loss is not None and teaching.weights is not None
        teaching.loss.backward()
        optimizer.step()
        losses.append(teaching.loss.item())
    assert all(z.grad is None for z in logits)
    assert any(not torch.equal(before[name], value) for name, value in method.state_dict().items())
    assert losses[-1] < losses[0] and teaching.weights is not None
    assert teaching.weights[:, 0].mean() > 0.5 > teaching.weights[:, 1].mean()


def test_attention_by_hand(tiny_store: ClipStore) -> None:
    """A perceptron whose weights are all zero but the last bias trusts all peers alike: the ensemble is the mean."""
    batch, method = batch_of(tiny_store), Attention(Alphabet())
    for parameter in method.parameters():
        torch.nn.init.zeros_(parameter)
    logits = [torch.randn(4, batch.n_frames, 28) for _ in range(3)]
    teaching = method.teach(Outputs(tuple(logits), tuple(logits)), batch)
    torch.testing.assert_close(teaching.ensemble, (logits[0] + logits[1] + logits[2]) / 3)
    torch.testing.assert_close(teaching.weights, torch.full((4, 3), 1 / 3))
    assert len(teaching.targets) == 3
    for (target,) in teaching.targets:
        assert not target.requires_grad
        torch.testing.assert_close(target, teaching.ensemble)


def test_a_perfect_prediction_has_no_error_features(tiny_store: ClipStore) -> None:
    batch = batch_of(tiny_store)
    logits = perfect_logits(batch, 40.0)
    features = prediction_features(logits, batch, Alphabet())
    assert features.shape == (4, FEATURES)
    assert features.abs().max() < 1e-4
    assert prediction_features(-logits, batch, Alphabet()).min() > 0.5


def test_peers_of_different_width_learn_together(tiny_store: ClipStore) -> None:
    batch, cohort = batch_of(tiny_store), cohort_of(method="attention", peers=2, widths=[0.125, 0.25])
    assert all(g.isfinite().all() for g in gradients(cohort, batch, 1, weight=1.0))


def test_frames_without_a_known_word_are_not_counted(tiny_store: ClipStore) -> None:
    reader = ClipReader(tiny_store, Alphabet())
    batch, cohort = next(reader.plain(tiny_store.clips[:2], 2)), cohort_of(method="independent", peers=1)
    with_words = cohort.losses(batch, weight=0.0, word_weight=1.0)
    assert with_words.terms["train/words/peer_0"] == 0


def test_every_peer_sees_its_own_view(tiny_store: ClipStore) -> None:
    """Peer i of independent peers gets on view i the gradient that it gets where view i is all there is."""
    draw = ClipReader(tiny_store, Alphabet()).training(
        tiny_store.clips[:4], seed=0, epoch=0, batch_size=4, augment=AugmentConfig(), views=2
    )
    batch, cohort = next(draw), cohort_of(method="independent", peers=2)
    for peer, view in enumerate(batch.views):
        assert equal(gradients(cohort, batch, peer), gradients(cohort, replace(batch, views=(view,)), peer))
    one = cohort_of(method="one", peers=2)
    assert all(g.isfinite().all() for g in gradients(one, batch, 1, weight=1.0))
    outputs = one._outputs(batch, (None, None))
    assert one.trunk is not None and outputs.trunk is not None
    encoded = [one.trunk.encode(view.values(), batch.lengths) for view in batch.views]
    torch.testing.assert_close(outputs.trunk, (encoded[0] + encoded[1]) / 2)
    for z, features, branch in zip(outputs.logits, encoded, one.branches, strict=True):
        assert torch.equal(z, branch.classify(features, batch.lengths)[1])


def test_peers_of_one_share_their_trunk_and_nothing_else(tiny_store: ClipStore) -> None:
    """The trunk gets the gradient of both branches; it is clipped and stepped once, and is peer 0's to begin with."""
    batch, cohort = batch_of(tiny_store), cohort_of(method="one", peers=2)
    control = cohort_of(method="independent", peers=2)
    assert cohort.trunk is not None and control.trunk is None
    for name, value in cohort.trunk.state_dict().items():
        assert torch.equal(value, control.peers[0].state_dict()[name]), name
    for branch, whole in zip(cohort.peers, control.peers, strict=True):
        assert {name.partition(".")[0] for name in branch.state_dict()} == {"recurrent", "output"}
        for name, value in branch.state_dict().items():
            assert torch.equal(value, whole.state_dict()[name]), name
    groups = [id(p) for group in cohort.parameter_groups() for p in group]
    assert len(groups) == len(set(groups)) and set(groups) == {id(p) for p in cohort.parameters()}
    cohort.losses(batch, weight=1.0, word_weight=1.0).total.backward()
    assert all(
        p.grad is not None and p.grad.isfinite().all() for p in (*cohort.trunk.parameters(), *cohort.peers.parameters())
    )


def test_a_peer_of_one_is_an_ordinary_network(tiny_store: ClipStore) -> None:
    """Trunk and branch joined read as the peer does; with a gate of zeros the ensemble is a mean."""
    batch, cohort = batch_of(tiny_store), cohort_of(method="one", peers=2)
    (first, second), ensemble = cohort.infer(batch)
    alone = cohort.network(1)
    assert isinstance(alone, LipNet)
    with torch.no_grad():
        assert torch.equal(alone(batch.values(), batch.lengths)[1], second)
    torch.testing.assert_close(ensemble, (first + second) / 2)
