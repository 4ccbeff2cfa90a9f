"""Scoring with trained peers: which peer is the best, and the test clips that are read once, at the end."""

from pathlib import Path

import pytest
import torch

from lipkd.cli import main
from lipkd.config.trial_config import parse_config
from lipkd.data.store import ClipStore
from lipkd.evaluation.evaluate import Reading, evaluate, rates
from lipkd.training.train import fit
from lipkd.trial import TrialFolder


def test_the_best_peer_is_one_peer() -> None:
    """Of "ab cd" peer 0 has one word and four letters wrong, peer 1 two words and two letters: peer 0 is best in WER,
    and its CER stands beside it."""
    row = {"id": "s/0", "reference": "ab cd", "hypotheses": ["ab xyzvw", "ax cx"], "ensemble": "ab cd"}
    reading = Reading([row], {"s/0": torch.full((2, 3, 4), 0.25)}, 1.0, 1.0)
    found = rates(reading)
    assert (found["val/wer/peer_0"], found["val/wer/peer_1"]) == (1 / 2, 1)
    assert (found["val/cer/peer_0"], found["val/cer/peer_1"]) == (1, 2 / 5)
    assert (found["val/wer_best_peer"], found["val/cer_best_peer"]) == (1 / 2, 1)


def test_test_clips_are_read_with_the_best_checkpoint_when_training_ends(
    tiny_store: ClipStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"], "test_speakers": ["ben"]}
    training = {"epochs": 2, "batch_size": 4, "threads": 1, "device": "cpu"}
    config = parse_config({"data": data, "network": {"width": 0.125}, "training": training})
    folder = TrialFolder(tmp_path / "trial")
    fit(config, folder.path, until=1)
    assert folder.read_predictions("test") == []
    fit(config, folder.path)
    rows = folder.read_predictions("test")
    assert [row["id"] for row in rows] == folder.split()["test"] and rows[0]["id"].startswith("ben/")
    assert rows == evaluate(folder.path, part="test", device="cpu").rows

    evaluating = ["evaluate", str(folder.path), "--split", "test", "--device", "cpu"]
    for options, kept in (
        ([], True),
        (["--tta"], False),
        (["--which", "last"], False),
        (["--sentences", "train"], False),
    ):
        folder.predictions("test").unlink(missing_ok=True)
        assert main([*evaluating, *options]) == 0
        assert folder.read_predictions("test") == (rows if kept else [])
    folder.set_state("stopped")  # its best epoch may still become another
    assert main(evaluating) == 0 and folder.read_predictions("test") == []
