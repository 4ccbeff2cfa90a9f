"""The calibration on a GPU, with a processor in its place: what is asked of CUDA is pretended, the training is real."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lipkd.config.trial_config import parse_config
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from tests.tuning.trials import trial_config, write_trial
from tuning.execution.trainable import keep_to_share
from tuning.gpu import cuda, probe
from tuning.gpu.cuda import Card
from tuning.gpu.memory_table import GPU


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A card of 16,000 MiB; the limits that were set on it."""
    limits: list[float] = []
    monkeypatch.setattr(cuda, "card", lambda: Card("Pretended", 16_000.0))
    monkeypatch.setattr(cuda, "begin", lambda: None)
    monkeypatch.setattr(cuda, "context_mb", lambda: 480.0)
    monkeypatch.setattr(cuda, "peak_mb", lambda: 1234.0)
    monkeypatch.setattr(cuda, "limit", limits.append)
    return limits


def request(*names: str, known: tuple[str, ...] = ()) -> dict[str, Any]:
    content = trial_config(training={"device": "cpu"}).to_json()
    return {"trials": [[name, content] for name in names], "known": {"Pretended": list(known)}}


def test_only_what_is_not_known_is_measured(card: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "measure", lambda config: 1000.0 * config.training.batch_size)
    asked = request("large", "small", known=("small",))
    assert probe.answer(asked) == {
        "device": "Pretended",
        "total_mb": 16_000.0,
        "context_mb": 480.0,
        "peaks": {"large": 4000.0},
    }
    assert probe.answer(request("small", known=("small",))) == {"device": "Pretended", "total_mb": 16_000.0}
    monkeypatch.setattr(probe, "LONGEST_S", -1.0)
    assert "peaks" not in probe.answer(asked)


def test_what_does_not_fit_takes_the_whole_card(card: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(config: Any) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(probe, "measure", measure)
    assert probe.answer(request("large"))["peaks"] == {"large": 16_000.0}


def test_what_fails_otherwise_is_not_hidden(card: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(config: Any) -> float:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(probe, "measure", measure)
    with pytest.raises(RuntimeError, match="no kernel image"):
        probe.answer(request("large"))


def test_two_steps_on_the_longest_clips(
    tiny_store: ClipStore, card: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve clips to train on, of which six have 25 frames and six 18: two batches of four, the long first."""
    data = {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]}
    content = {"data": data, "network": {"name": "lipnet-128", "width": 0.05}, "cohort": {"peers": 2, "method": "dml"}}
    config = parse_config({**content, "training": {"batch_size": 4, "device": "cpu", "epochs": 50}})
    from lipkd.training.train import Trainer

    seen: list[tuple[list[int], int, float]] = []
    train = Trainer._train_epoch

    def watched(self: Trainer) -> dict[str, float]:
        metrics = train(self)
        frames = [clip.n_frames for clip in self.data.train]
        seen.append((frames, len(self.data.val), metrics["train/distill_weight"]))
        return metrics

    monkeypatch.setattr(Trainer, "_train_epoch", watched)
    assert probe.measure(config) == 1234.0
    assert seen == [([25] * 6 + [18] * 2, 4, 1.0)]


def test_few_clips_are_taken_again(tiny_store: ClipStore) -> None:
    clips = tiny_store.clips[:2]
    assert [clip.n_frames for clip in clips] == [18, 25]
    assert probe.longest(clips, 3) == [clips[1], clips[0], clips[1]]


def test_no_gpu_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(LipkdError, match="PyTorch finds no GPU"):
        probe.run_probe(request("large"))


def test_a_trial_keeps_to_its_share(card: list[float], tmp_path: Path) -> None:
    """A quarter of 16,000 MiB, 800 of which are CUDA's: 0.25 − 0.05 for PyTorch. A whole card needs no limit."""
    folder = write_trial(tmp_path, [], name="one")
    keep_to_share(folder, 0.25, 800.0)
    assert card == [pytest.approx(0.2)]
    noted = json.loads((folder.path / GPU).read_text(encoding="utf-8"))
    assert noted == {"device": "Pretended", "total_mb": 16_000.0, "share": 0.25}
    keep_to_share(folder, 1.0, 800.0)
    assert len(card) == 1
    with pytest.raises(LipkdError, match=r"resources.gpus = 0.05: less than CUDA's own 800 MiB of a Pretended"):
        keep_to_share(folder, 0.05, 800.0)


def test_without_a_share_cuda_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "card", lambda: pytest.fail("asked"))
    folder = write_trial(tmp_path, [], name="one")
    keep_to_share(folder, 0.0, 0.0)
    assert not (folder.path / GPU).exists()


def test_the_driver_loads_no_pytorch_for_it() -> None:
    script = "import sys, tuning.gpu.shares, tuning.gpu.cuda; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_journals_and_the_probe_count_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both go into one table, and what a trial may take at most is counted in reserved memory too."""
    import torch

    from lipkd.runtime.device import peak_megabytes

    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device=None: 900 * 2**20)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device=None: 700 * 2**20)
    assert cuda.peak_mb() == peak_megabytes(torch.device("cuda")) == 900.0
