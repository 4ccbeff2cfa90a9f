"""A trial that trains nothing, so that what is left is the way from a worker to MLflow. It runs in Ray's workers."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from lipkd.config.trial_config import TrialConfig
from lipkd.files import write_json
from lipkd.lock import only_one
from lipkd.trial import Journal, TrialFolder

COSTS = "cost.json"  # of a trial: seconds, beside its journal


def metrics_at(step: int, seed: int, width: float) -> dict[str, float]:
    """Twenty-two metrics, as many as an epoch of two peers has; they follow from what is given."""
    wer = 0.2 + 0.7 / step + 0.01 * (seed % 7) - 0.05 * width
    each = {f"val/{rate}/peer_{peer}": wer * (1 + peer / 50) for rate in ("wer", "cer") for peer in (0, 1)}
    losses = {f"train/{part}/peer_{peer}": 3.0 / step + peer for part in ("ctc", "distill") for peer in (0, 1)}
    rates = {f"val/{name}": wer for name in ("wer", "cer", "wer_best_peer", "wer_ensemble", "wer_as_written")}
    best = {"best/wer": wer, "best/cer": wer, "best/epoch": float(step)}
    train = {"train/loss": 3.0 / step, "train/learning_rate": 1e-3 / step, "train/distill_weight": 1.0}
    cost = {"time/epoch_s": 0.001, "time/clips_per_s": 1e3, "memory/peak_mb": 1.0}
    return each | losses | rates | best | train | cost


def fit(config: TrialConfig, path: Path, *, on_report: Callable[[int, dict[str, float]], None], **_: object) -> None:
    """In place of `lipkd.training.train.fit`: every file that a trial has but checkpoints and predictions.
    What populations need is left out."""
    start = {"start_s": _age(), "start_processor_s": time.process_time()}
    folder = TrialFolder(path)
    with only_one(folder.lock, f"trial {path}"):
        write_json(path / "config.json", config.to_json())
        write_json(path / "split.json", {"train": ["ada/1"], "val": ["ben/1"], "test": [], "store_digest": "none"})
        folder.set_state("running")
        journal = Journal(folder.journal)
        written = reported = 0.0
        for step in range(1, config.training.epochs + 1):
            metrics = metrics_at(step, config.seed, config.network.width)
            began = time.monotonic()
            journal.append(step, metrics)
            told = time.monotonic()
            on_report(step, metrics)
            written += told - began
            reported += time.monotonic() - told
        each = {"journal_s": written / config.training.epochs, "report_s": reported / config.training.epochs}
        write_json(path / COSTS, {**start, **each, "processor_s": time.process_time()})
        folder.set_state("finished")


def _age() -> float:
    """Seconds since this process began."""
    ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def train_trial(trial: dict[str, Any]) -> None:
    """The product's `tuning.execution.trainable.train_trial` around this module's `fit`, without PyTorch, which
    belongs to what is left out."""
    standin: Any = ModuleType("lipkd.training.train")
    standin.fit = fit
    sys.modules["lipkd.training.train"] = standin
    from tuning.execution import trainable

    trainable.train_trial(trial)
