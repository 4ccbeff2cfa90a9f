"""What the training loop does with damaged files, killed writes, and numbers that are not finite."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lipkd.data.loader import Batch
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.evaluation.evaluate import evaluate
from lipkd.model.cohort import Cohort, Losses
from lipkd.training.train import fit
from lipkd.trial import TrialFolder
from tests.lipkd.training.small import config_of
from tests.measured import numbers, of_the_training


def test_a_finished_trial_stays_finished(tiny_store: ClipStore, tmp_path: Path) -> None:
    """Whatever is done to its files: what is damaged is named or written anew, and nothing is trained again."""
    config = config_of(tiny_store, training={"epochs": 2, "batch_size": 8})
    folder = TrialFolder(tmp_path)
    metrics = fit(config, tmp_path)
    journal = folder.journal.read_bytes()
    for name in ("config.json", "split.json"):
        before = (tmp_path / name).read_bytes()
        for content in (b"", b"{", b"[]"):
            (tmp_path / name).write_bytes(content)
            assert fit(config, tmp_path) == metrics
            assert (tmp_path / name).read_bytes() == before and folder.state()["state"] == "finished"
    for name in ("best", "last"):
        (tmp_path / "checkpoints" / f"{name}.safetensors").unlink()
        notes: list[str] = []
        assert fit(config, tmp_path, on_note=notes.append) == metrics
        assert notes == ["this trial has finished: nothing is left to train"]
    with pytest.raises(LipkdError, match=r"was started with another training\.epochs"):
        fit(config_of(tiny_store, training={"epochs": 3, "batch_size": 8}), tmp_path)
    assert folder.journal.read_bytes() == journal
    folder.journal.write_bytes(b"x" + journal)
    with pytest.raises(LipkdError, match="line 1: not JSON"):
        fit(config, tmp_path)
    folder.journal.unlink()
    with pytest.raises(LipkdError, match=r"journal\.jsonl: is empty or missing, though the trial has finished; remove"):
        fit(config, tmp_path)
    assert folder.state()["state"] == "finished"
    (tmp_path / "state.json").write_bytes(b"")
    with pytest.raises(LipkdError, match=r"state\.json: empty; remove it"):
        fit(config, tmp_path)
    (tmp_path / "state.json").unlink()  # as both sentences say
    assert of_the_training(fit(config, tmp_path)) == of_the_training(metrics)
    assert folder.state()["state"] == "finished"


def test_a_trial_goes_on_without_a_line_of_its_journal(tiny_store: ClipStore, tmp_path: Path) -> None:
    """What is damaged is named; when it is removed, the other epochs are what they would have been."""
    config = config_of(tiny_store, training={"epochs": 4, "batch_size": 8})
    folder, whole = TrialFolder(tmp_path / "cut"), tmp_path / "whole"
    fit(config, whole)
    fit(config, folder.path, until=2)
    first, second = folder.journal.read_bytes().splitlines(keepends=True)
    for damaged, rest in ((b"{}\n" + second, second), (first + b"\0\n", first)):
        folder.journal.write_bytes(damaged)
        with pytest.raises(LipkdError, match=r"line [12]: .*remove that line"):
            fit(config, folder.path)
        assert folder.state()["state"] == "running"
        folder.journal.write_bytes(rest)
    notes: list[str] = []
    fit(config, folder.path, on_note=notes.append)
    assert notes[0] == "goes on after epoch 2 on cpu; clips: 12 train, 6 val, 0 test"
    assert notes[1:] == [f"{folder.journal} has no line for epoch 2: the trial's curves lack it"]
    assert [report.step for report in folder.reports()] == [1, 3, 4]
    found = [of_the_training(report.metrics) for report in folder.reports()]
    assert found == [n for step, n in enumerate(numbers(whole), 1) if step != 2]
    took = [report.metrics["time/epoch_s"] for report in folder.reports()]
    assert folder.reports()[-1].metrics["time/total_s"] == pytest.approx(sum(took))


def test_what_a_killed_write_has_left_is_removed_at_the_next_start(tiny_store: ClipStore, tmp_path: Path) -> None:
    config = config_of(tiny_store, training={"epochs": 2, "batch_size": 8})
    fit(config, tmp_path, until=1)
    left = [tmp_path / name for name in ("checkpoints/.last.safetensors.0a1b.tmp", "predictions/.best.jsonl.0a1b.tmp")]
    for path in left:
        path.write_bytes(b"half")
    fit(config, tmp_path)
    assert not any(path.exists() for path in left)


def test_means_over_an_epoch_count_every_clip_once(tiny_store: ClipStore, tmp_path: Path) -> None:
    """Twelve clips in batches of 8 and 4: with loss 1 in the first and 4 in the other the mean is 2, not 2.5."""
    config = config_of(tiny_store, training={"epochs": 1, "batch_size": 8})
    real = Cohort.losses

    def losses(cohort: Cohort, batch: Batch, **options: Any) -> Losses:
        found = real(cohort, batch, **options)
        value = torch.tensor(1.0 if len(batch.clips) == 8 else 4.0)
        return Losses(found.total, {**found.terms, "train/loss": value})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cohort, "losses", losses)
        assert fit(config, tmp_path)["train/loss"] == pytest.approx(2.0)


def test_weights_that_are_not_finite_fail_the_trial(tiny_store: ClipStore, tmp_path: Path) -> None:
    """The last step of an epoch can spoil the weights when all of its losses were finite."""
    config = config_of(tiny_store, training={"epochs": 1, "batch_size": 64})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lipkd.training.train.learning_rate", lambda *_: math.nan)
        with pytest.raises(FloatingPointError, match=r"peers\.0\..* is not finite in epoch 1"):
            fit(config, tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_a_damaged_checkpoint_is_a_sentence(tiny_store: ClipStore, tmp_path: Path) -> None:
    fit(config_of(tiny_store, training={"epochs": 1}), tmp_path)
    path = tmp_path / "checkpoints" / "best.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LipkdError, match=r"best\.safetensors: damaged.*; remove it"):
        evaluate(tmp_path, device="cpu")
    with pytest.raises(LipkdError, match=r"no config\.json"):
        TrialFolder(tmp_path / "nothing").config()
