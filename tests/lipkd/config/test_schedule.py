"""Values that change between two epochs: what holds when, and what the training loop makes of it."""

from pathlib import Path
from typing import Any

import pytest

from lipkd import checkpoint
from lipkd.config.schedule import config_at, scheduled_keys, value_of, with_changes
from lipkd.config.trial_config import MAY_CHANGE, PARTS, Change, TrialConfig, parse_config
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.training.optimizer import learning_rate
from lipkd.training.resolve import resolve
from lipkd.training.train import Trainer, fit
from lipkd.training.trial_data import build_data
from lipkd.trial import TrialFolder
from tests.measured import numbers

RATE = "training.learning_rate"


def config_of(store: ClipStore, **parts: Any) -> TrialConfig:
    data = {"store": str(store.path), "scenario": "unseen", "val_speakers": ["cleo"]}
    training = {"epochs": 4, "batch_size": 4, "threads": 1, **parts.pop("training", {})}
    network = {"name": "lipnet-128", "width": 0.05}
    return resolve(parse_config({"data": data, "network": network, "training": training, **parts}))


def test_what_holds_when() -> None:
    config = parse_config(
        {
            "data": {"store": "x"},
            "schedule": [
                {"after": 2, "values": {RATE: 0.1, "cohort.weight": 3}},
                {"after": 5, "values": {RATE: 0.2}},
            ],
        }
    )
    now = [config_at(config, epochs) for epochs in (0, 1, 2, 4, 5, 99)]
    assert [value_of(c, RATE) for c in now] == [6e-4, 6e-4, 0.1, 0.1, 0.2, 0.2]
    assert [value_of(c, "cohort.weight") for c in now] == [1, 1, 3, 3, 3, 3]
    assert now[0] == config.model_copy(update={"schedule": ()})
    assert scheduled_keys(config) == {RATE, "cohort.weight"}
    more = with_changes(config, [Change(after=2, values={RATE: 0.5}), Change(after=3, values={"augment.flip": 0})])
    assert [(c.after, c.values) for c in more.schedule] == [
        (2, {RATE: 0.5, "cohort.weight": 3}),
        (3, {"augment.flip": 0}),
        (5, {RATE: 0.2}),
    ]


@pytest.mark.parametrize("key", MAY_CHANGE)
def test_every_key_is_a_number_of_the_configuration(key: str) -> None:
    part, _, name = key.partition(".")
    default = getattr(PARTS[part](), name)
    assert isinstance(default, int | float)
    whole = isinstance(default, int)
    value = 3 if whole else default / 2 or 0.25  # what is off by default is switched on
    changed = parse_config({"data": {"store": "x"}, "schedule": [{"after": 1, "values": {key: value}}]})
    assert value_of(config_at(changed, 1), key) == value != value_of(config_at(changed, 0), key)


# Nothing of what each of these does may be lost on the way into the loop: an epoch after it is another one.
@pytest.mark.parametrize(
    ("key", "value"),
    [
        (RATE, 6e-3),
        ("training.weight_decay", 1.0),
        ("training.clip_norm", 0.01),
        ("training.word_weight", 5.0),
        ("cohort.weight", 0.1),
        ("cohort.temperature", 1.0),
        ("network.dropout", 0.0),
        ("augment.time_masks", 0),
        ("augment.contrast", 0.0),
    ],
)
def test_a_change_has_its_effect_from_the_next_epoch_on(
    tiny_store: ClipStore, tmp_path: Path, key: str, value: float
) -> None:
    cohort = {"method": "dml", "peers": 2, "ramp_share": 0.0}
    plain = config_of(tiny_store, cohort=cohort, training={"epochs": 3, "word_share": 1.0})
    changed = with_changes(plain, [Change(after=2, values={key: value})])
    for name, config in (("plain", plain), ("changed", changed)):
        fit(config, tmp_path / name)
    before, after = (numbers(tmp_path / name, beside=("schedule/",)) for name in ("plain", "changed"))
    assert after[:2] == before[:2]
    assert after[2]["val/ctc"] != before[2]["val/ctc"]
    told = [r.metrics[f"schedule/{key}"] for r in TrialFolder(tmp_path / "changed").reports()]
    assert told == [value_of(plain, key)] * 2 + [value]
    assert not any(key.startswith("schedule/") for r in TrialFolder(tmp_path / "plain").reports() for key in r.metrics)


def test_the_rate_goes_on_along_its_curve_at_the_new_height(tiny_store: ClipStore, tmp_path: Path) -> None:
    config = config_of(tiny_store, schedule=[{"after": 2, "values": {RATE: 1e-2}}])
    fit(config, tmp_path)
    steps = 3  # twelve clips in batches of four
    for epoch, height in enumerate((6e-4, 6e-4, 1e-2, 1e-2)):
        training = config.training.model_copy(update={"learning_rate": height})
        expected = learning_rate(training, epoch * steps + steps - 1, 4 * steps)
        assert numbers(tmp_path)[epoch]["train/learning_rate"] == expected


def test_a_trial_that_is_killed_around_a_change_reaches_the_same_numbers(tiny_store: ClipStore, tmp_path: Path) -> None:
    schedule = [{"after": 2, "values": {RATE: 2e-3, "network.dropout": 0.5, "training.weight_decay": 0.5}}]
    config = config_of(tiny_store, schedule=schedule, training={"checkpoint_every": 2})
    fit(config, tmp_path / "whole")
    for stop in (1, 2, 3):

        def killed(step: int, _: dict[str, float], stop: int = stop) -> None:
            if step == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(config, tmp_path / "parts", on_report=killed)
    fit(config, tmp_path / "parts")
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")


def test_a_trial_trained_up_to_an_epoch_waits_there_with_a_checkpoint(tiny_store: ClipStore, tmp_path: Path) -> None:
    config = config_of(tiny_store, training={"checkpoint_every": 50})
    fit(config, tmp_path / "whole")
    folder = TrialFolder(tmp_path / "parts")
    for until in (2, 2, 3):
        fit(config, folder.path, until=until, watched=[RATE])
        assert folder.state()["state"] == "running"
        assert len(folder.reports()) == checkpoint.load(folder.checkpoint("last"))[1]["epoch"] == until
    fit(config, folder.path, until=9, watched=[RATE])
    assert folder.state()["state"] == "finished"
    assert numbers(folder.path, beside=("schedule/",)) == numbers(tmp_path / "whole")
    assert [r.metrics[f"schedule/{RATE}"] for r in folder.reports()] == [6e-4] * 4


def test_a_checkpoint_of_another_schedule_is_refused(tiny_store: ClipStore, tmp_path: Path) -> None:
    """A caller that changes the schedule in mid-training changes the checkpoint with it, or these are other weights."""
    config = config_of(tiny_store)
    fit(config, tmp_path, until=2)
    with pytest.raises(LipkdError, match="was started with another schedule"):
        Trainer(config, build_data(config), TrialFolder(tmp_path), changes=[Change(after=2, values={RATE: 1e-3})])
