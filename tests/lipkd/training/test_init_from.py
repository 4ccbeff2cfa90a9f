"""Start from another trial: which layers are taken over, for whom, and what is said of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from lipkd import checkpoint
from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.model.cohort import Cohort
from lipkd.training.init_from import find_source, start_from
from lipkd.training.resolve import resolve
from lipkd.training.train import fit
from lipkd.trial import TrialFolder

PICTURE = (24, 48, 3)
TENSORS = 30  # of a LipNet: 6 of convolutions, 3 scales, 3 shifts, 16 of GRUs, 2 of the output


def value_of(store: ClipStore, **parts: Any) -> dict[str, Any]:
    data = {"store": str(store.path), "scenario": "unseen", "val_speakers": ["cleo"], **parts.pop("data", {})}
    training = {"epochs": 1, "batch_size": 4, "threads": 1, **parts.pop("training", {})}
    return {"data": data, "network": {"width": 0.125, **parts.pop("network", {})}, "training": training, **parts}


@pytest.fixture(scope="module")
def given(tiny_store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trial of two peers, trained for two epochs."""
    path = tmp_path_factory.mktemp("given") / "trial"
    fit(parse_config(value_of(tiny_store, cohort={"peers": 2}, training={"epochs": 2})), path)
    return path


def started(store: ClipStore, given: Path, picture: tuple[int, int, int] = PICTURE, **parts: Any) -> tuple[Any, Any]:
    """A fresh cohort that has taken over what fits, and the report."""
    training = {"init_from": str(given), **parts.pop("training", {})}
    config = parse_config(value_of(store, training=training, **parts))
    cohort = Cohort(config, picture=picture, n_words=0)
    return cohort, start_from(find_source(str(given)), cohort, config, picture)


def fresh(store: ClipStore, **parts: Any) -> Cohort:
    return Cohort(parse_config(value_of(store, **parts)), picture=PICTURE, n_words=0)


def test_the_best_peer_is_found_in_folder_and_checkpoint(given: Path, tmp_path: Path) -> None:
    source = find_source(str(given))
    epoch = checkpoint.load(given / "checkpoints" / "best.safetensors")[1]["epoch"]
    metrics = TrialFolder(given).reports()[epoch - 1].metrics
    rates = [(metrics[f"val/wer/peer_{i}"], metrics[f"val/cer/peer_{i}"]) for i in (0, 1)]
    assert rates[source.peer] == min(rates) and "the best of 2" in source.why
    assert find_source(str(given / "checkpoints" / "best.safetensors")).digest == source.digest
    (tmp_path / "alone").mkdir()
    shutil.copy(given / "checkpoints" / "best.safetensors", tmp_path / "alone" / "some.safetensors")
    assert find_source(str(tmp_path / "alone" / "some.safetensors")).peer == 0


def test_one_peer_starts_from_all_that_it_is_given(tiny_store: ClipStore, given: Path) -> None:
    cohort, report = started(tiny_store, given)
    tensors = find_source(str(given)).tensors
    state = cohort.peers[0].state_dict()
    assert state.keys() == tensors.keys() and len(state) == TENSORS
    assert all(torch.equal(state[name], tensors[name]) for name in state)
    assert report["peers"][0]["loaded"] == [n for n, _ in cohort.peers[0].named_parameters()]
    assert not report["peers"][0]["partly"] and not report["peers"][0]["fresh"]


def test_peers_that_start_from_the_same_weights_differ(tiny_store: ClipStore, given: Path) -> None:
    """Peer 1 starts from 3/4 of what is given and 1/4 of its own; with a spread of 0 a warning says what that means."""
    cohort, report = started(tiny_store, given, cohort={"peers": 2}, training={"init_spread": 0.25})
    tensors, own = find_source(str(given)).tensors, fresh(tiny_store, cohort={"peers": 2}).peers[1].state_dict()
    for name, value in cohort.peers[1].state_dict().items():
        torch.testing.assert_close(value, 0.75 * tensors[name] + 0.25 * own[name])
        assert torch.equal(cohort.peers[0].state_dict()[name], tensors[name])
    assert "alike" not in report["summary"]
    alike, report = started(tiny_store, given, cohort={"peers": 2}, training={"init_spread": 0})
    assert all(torch.equal(value, alike.peers[1].state_dict()[n]) for n, value in alike.peers[0].state_dict().items())
    assert "all peers start alike" in report["summary"]


def test_a_shared_trunk_is_taken_over_once(tiny_store: ClipStore, given: Path) -> None:
    cohort, report = started(tiny_store, given, cohort={"method": "one", "peers": 2})
    tensors = find_source(str(given)).tensors
    assert cohort.trunk is not None
    assert all(torch.equal(value, tensors[name]) for name, value in cohort.trunk.state_dict().items())
    assert not any(torch.equal(value, tensors[name]) for name, value in cohort.peers[1].state_dict().items())
    assert any(name.startswith("convolutions") for name in report["peers"][0]["loaded"])
    assert not any(name.startswith("convolutions") for name in report["peers"][1]["loaded"])


def test_another_alphabet_keeps_its_common_letters(tiny_store: ClipStore, given: Path) -> None:
    """Two letters more, and the order turned round: every old letter keeps its own row."""
    alphabet = "ßzyxwvutsrqponmlkjihgfedcbaé "
    cohort, report = started(tiny_store, given, data={"alphabet": alphabet})
    tensors, own = find_source(str(given)).tensors, fresh(tiny_store, data={"alphabet": alphabet}).branches[0].output
    now = cohort.peers[0].output
    for name in ("weight", "bias"):
        old = tensors[f"output.{name}"]
        mine = getattr(now, name)
        assert torch.equal(mine[0], old[0])
        assert torch.equal(mine[alphabet.index("a") + 1], old[2]) and torch.equal(mine[29], old[1])
        assert torch.equal(mine[1], getattr(own, name)[1])
    assert report["peers"][0]["partly"] == {"output.weight": "28 of 30 symbols", "output.bias": "28 of 30 symbols"}


@pytest.mark.parametrize(
    ("parts", "picture", "stay", "reason"),
    [
        ({"network": {"name": "lipnet-256"}}, PICTURE, "convolutions.0.weight", "4×3×3×5×5 there, 2×3×3×5×5 here"),
        ({}, (24, 48, 1), "convolutions.0.weight", "4×3×3×5×5 there, 4×1×3×5×5 here"),
        ({}, (48, 48, 3), "recurrent.0.weight_ih_l0", "96×36 there, 96×108 here"),
        ({}, (16, 96, 3), "recurrent.0.weight_ih_l0", "96×36 there, 96×72 here"),
        ({}, (48, 16, 3), "recurrent.0.weight_ih_l0_reverse", "another picture"),
    ],
)
def test_what_does_not_fit_stays_fresh(
    tiny_store: ClipStore, given: Path, parts: dict[str, Any], picture: tuple[int, int, int], stay: str, reason: str
) -> None:
    cohort, report = started(tiny_store, given, picture, **parts)
    peer = report["peers"][0]
    assert peer["fresh"][stay] == reason
    assert len(peer["loaded"]) + len(peer["fresh"]) == TENSORS and peer["loaded"]
    alone = Cohort(parse_config(value_of(tiny_store, **parts)), picture=picture, n_words=0)
    assert torch.equal(cohort.peers[0].state_dict()[stay], alone.peers[0].state_dict()[stay])


def test_a_network_that_shares_no_layer_is_refused(tiny_store: ClipStore, given: Path) -> None:
    with pytest.raises(LipkdError, match=r"training.init_from = .*trial: no layer of it fits lipnet at width 0.5"):
        started(tiny_store, given, data={"alphabet": " ab"}, network={"width": 0.5})


def test_the_signature_knows_the_weights_and_not_where_they_lie(
    tiny_store: ClipStore, given: Path, tmp_path: Path
) -> None:
    def config(path: Path, **parts: Any) -> TrialConfig:
        return resolve(parse_config(value_of(tiny_store, training={"init_from": str(path)}, **parts)))

    shutil.copytree(given, tmp_path / "copy")
    first, copy = config(given), config(tmp_path / "copy")
    assert first.training.init_digest == find_source(str(given)).digest
    assert first.signature() == copy.signature() != resolve(parse_config(value_of(tiny_store))).signature()
    tensors, info = checkpoint.load(tmp_path / "copy" / "checkpoints" / "best.safetensors")
    name = f"model/peers.{find_source(str(given)).peer}.output.bias"
    checkpoint.save(tmp_path / "copy" / "checkpoints" / "best.safetensors", {**tensors, name: tensors[name] + 1}, info)
    assert config(tmp_path / "copy").signature() != first.signature()
    with pytest.raises(LipkdError, match="other weights than when this was planned"):
        fit(copy, tmp_path / "trial")
    # A configuration that has its digest is read where the weights are not.
    shutil.rmtree(tmp_path / "copy")
    assert parse_config(copy.to_json()).signature() == first.signature()
    spread = {"init_from": str(given), "init_spread": 0.5}
    assert resolve(parse_config(value_of(tiny_store, training=spread))).signature() == first.signature()
    two = [
        resolve(parse_config(value_of(tiny_store, training=t, cohort={"peers": 2})))
        for t in (spread, {**spread, "init_spread": 0.1})
    ]
    assert two[0].signature() != two[1].signature()


def test_a_trial_starts_from_another_and_resumes_without_it(tiny_store: ClipStore, given: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    notes: list[str] = []
    shutil.copytree(given, source)
    training = {"init_from": str(source), "epochs": 2, "ema": 0.5}
    config = resolve(parse_config(value_of(tiny_store, cohort={"method": "dml", "peers": 2}, training=training)))

    def stop(step: int, _: dict[str, float]) -> None:
        raise KeyboardInterrupt

    fit(config, tmp_path / "whole", on_note=notes.append)
    assert len(notes) == 2 and "30, 30 of 30 tensors taken over" in notes[1]
    report = json.loads((tmp_path / "whole" / "init_report.json").read_text())
    assert report["digest"] == config.training.init_digest and report["summary"] == notes[1]
    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path / "parts", on_report=stop)
    shutil.rmtree(source)
    fit(config, tmp_path / "parts", on_note=notes.append)
    assert len(notes) == 3 and notes[2].startswith("goes on after epoch 1 on cpu")
    one, other = (checkpoint.load(tmp_path / n / "checkpoints" / "last.safetensors")[0] for n in ("whole", "parts"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_source_that_is_not_there_is_one_sentence(tiny_store: ClipStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    for name, sentence in (
        ("missing", "no trial and no checkpoint there"),
        ("empty", "not there; the trial has not finished an epoch yet"),
        ("no.safetensors", "not a checkpoint of lipkd"),
    ):
        with pytest.raises(LipkdError, match=rf"training.init_from = .*{name}: .*{sentence}") as caught:
            resolve(parse_config(value_of(tiny_store, training={"init_from": str(tmp_path / name)})))
        assert "\n" not in str(caught.value)
    with pytest.raises(LipkdError, match="which is missing"):
        resolve(parse_config(value_of(tiny_store, training={"init_digest": "0" * 16})))
