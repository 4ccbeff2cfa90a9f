from pathlib import Path
from typing import Any

import pytest

from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.store import ClipStore
from tuning.plan import estimate as module
from tuning.plan.estimate import Cost, Estimate, calibrate, estimate, kind
from tuning.plan.planner import Planned

MB, GB = 2**20, 2**30


def config(store: Any = "/s", **changes: Any) -> TrialConfig:
    training = {"epochs": 10, "batch_size": 4, "device": "cpu", "precision": "float32", **changes.pop("training", {})}
    data = {"store": str(store), "scenario": "unseen", "val_speakers": ["cleo"]}
    network = {"name": "lipnet-128", "width": 0.05}
    return parse_config({"data": data, "network": network, "training": training, **changes})


def planned(*configs: TrialConfig) -> list[Planned]:
    return [Planned(c.trial_name(), c) for c in configs]


def test_trials_that_take_the_same_time_are_one_kind() -> None:
    same = [config(), config(seed=1), config(training={"learning_rate": 0.1}), config(training={"epochs": 3})]
    assert len({kind(c) for c in same}) == 1
    others = [config(), config(training={"batch_size": 8}), config(cohort={"peers": 2, "method": "dml"})]
    assert len({kind(c) for c in others}) == 3


def test_a_sum_over_kinds_and_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 epochs of 2 s and 20 of 2 s with one peer, 10 of 6 s with two: 120 s; each 5 bytes and 1 per epoch."""
    monkeypatch.setattr(module, "calibrate", lambda c: Cost(2.0 if c.cohort.peers == 1 else 6.0, 2, 1, 3))
    trials = planned(config(), config(training={"epochs": 20}), config(cohort={"peers": 2}))
    assert estimate(trials, 3) == Estimate(120.0, 15 + 40, 2, 2)
    assert estimate(trials, 6) == Estimate(240.0, 110, 2, 2)  # of which these three are examples
    monkeypatch.setattr(module, "LONGEST_S", 0.0)
    assert estimate(trials, 3) == Estimate(80.0, 55, 2, 1)  # the other kind as the first


def test_in_words() -> None:
    assert Estimate(7200, 3 * GB, 2, 2).text(2) == (
        "about 2.0 h of training, 1.0 h on the clock if 2 at a time are as fast as one; about 3.0 GiB of disk"
    )
    assert Estimate(60, MB, 4, 1).text(1).endswith("about 1 MiB of disk, from 1 of 4 kinds of trials")


def test_a_real_calibration(tiny_store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are the weights once (best) and with two moments each (last): near four times the best."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cost = calibrate(config(tiny_store.path))
    assert cost.epoch_s > 0 and cost.per_epoch > 100
    assert cost.fixed > 3 * cost.copied / 2 > 0
    assert not list(tmp_path.glob("lipkd-estimate-*"))
