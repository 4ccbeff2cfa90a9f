"""The small trial that tests of the training loop train."""

from typing import Any

from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.store import ClipStore
from lipkd.training.resolve import resolve


def config_of(store: ClipStore, **parts: Any) -> TrialConfig:
    data = {"store": str(store.path), "scenario": "unseen", "val_speakers": ["cleo"]}
    training = {"epochs": 3, "batch_size": 4, "threads": 1, **parts.pop("training", {})}
    return resolve(parse_config({"data": data, "network": {"width": 0.125}, "training": training, **parts}))
