from pathlib import Path
from typing import Any

import pytest

from lipkd.config.trial_config import TrialConfig, differing_fields, load_config, parse_config
from lipkd.errors import LipkdError


def config(**parts: Any) -> TrialConfig:
    return parse_config({"data": {"store": "x"}, **parts})


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"cohort": {"peers": 0}}, "cohort.peers = 0: input should be greater than or equal to 1"),
        ({"cohort": {"method": "magic", "peers": 2}}, "cohort.method = 'magic': input should be 'independent',"),
        ({"cohort": {"peers": 2, "widths": [1.0]}}, "lists 1 widths for 2 peers"),
        ({"cohort": {"method": "one", "peers": 2, "widths": [1, 2]}}, "must be all the same for method 'one'"),
        ({"network": {"width": 0}}, "network.width = 0: input should be greater than 0"),
        ({"training": {"epoch": 3}}, "training.epoch is not a known field"),
        ({"training": {"learning_rate": "fast"}}, "training.learning_rate = 'fast'"),
        ({"training": {"device": "gpu"}}, "training.device = 'gpu'"),
        ({"data": {}}, "data.store is missing"),
        ({"data": {"store": "x", "scenario": "unseen"}}, "needs data.val_speakers"),
        (
            {"data": {"store": "x", "scenario": "unseen", "val_speakers": ["a"], "test_speakers": ["a"]}},
            "speakers .'a'. are in val_speakers and in test_speakers",
        ),
        ({"augment": {"speed": float("nan")}}, "augment.speed"),
        ({"seed": -1}, "seed = -1"),
        ({"schedule": [{"after": 2, "values": {"network.width": 1}}]}, "network.width cannot change in mid-training; "),
        ({"schedule": [{"after": 0, "values": {"network.dropout": 0.1}}]}, "schedule.0.after = 0: .* equal to 1"),
        ({"schedule": [{"after": 2, "values": {}}]}, "schedule.0.values"),
        ({"schedule": [{"after": 2, "values": {"network.dropout": 1}}]}, "network.dropout = 1: input should be less"),
        ({"schedule": [{"after": 2, "values": {"augment.time_masks": 1.5}}]}, "augment.time_masks = 1.5"),
        ({"schedule": [{"after": 100, "values": {"network.dropout": 0.1}}]}, "after epoch 100, and .* ends at 100"),
        (
            {"schedule": [{"after": after, "values": {"network.dropout": 0.1}} for after in (5, 4)]},
            r"after epochs \[5, 4\]: they must rise",
        ),
        (
            {
                "training": {"word_weight": 0},
                "schedule": [{"after": 4, "values": {"training.word_weight": 1}}],
            },
            "raises training.word_weight from 0",
        ),
    ],
)
def test_bad_fields_are_named(parts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LipkdError, match=sentence) as caught:
        config(**parts)
    assert "\n" not in str(caught.value)


def test_signature_follows_what_decides_the_numbers() -> None:
    base = config()
    assert base.signature() == config(training={"device": "cpu", "threads": 4, "checkpoint_every": 9}).signature()
    assert len({c.signature() for c in (base, config(seed=1), config(network={"width": 0.5}))}) == 3
    assert base.signature() == config(cohort={"method": "attention"}, training={"epochs": 100}).signature()
    assert len({config(cohort={"widths": [width]}).signature() for width in (0.25, 0.5)}) == 2
    two = [config(cohort={"peers": 2, "method": method}).signature() for method in ("independent", "attention")]
    assert len({base.signature(), *two}) == 3


def test_a_new_field_leaves_old_signatures_as_they_were() -> None:
    """Signatures of configurations as written before the fields of today were there: folders on disk carry them."""
    rich = config(
        seed=3,
        network={"width": 0.5, "dropout": 0.15},
        cohort={"method": "dml", "peers": 2, "weight": 0.5, "ramp_share": 0.5, "frames": "spikes"},
        training={"epochs": 70, "batch_size": 4},
        augment={"time_masks": 1},
    )
    two = config(cohort={"method": "attention", "peers": 2})
    assert [c.signature() for c in (config(), two, rich)] == ["b3f1b48f0e2b", "a4a59bdf3d90", "409e2218eea3"]
    assert config(cohort={"peers": 2, "start_share": 0.4}).signature() != config(cohort={"peers": 2}).signature()


def test_a_schedule_is_part_of_what_a_trial_is() -> None:
    """A number that YAML reads as text is the number, and becomes a whole one where the field holds whole ones."""
    given = config(schedule=[{"after": 3, "values": {"training.learning_rate": "1e-3", "augment.time_masks": 4.0}}])
    assert given.schedule[0].values == {"training.learning_rate": 1e-3, "augment.time_masks": 4}
    assert given.signature() != config().signature() == config(schedule=[]).signature()
    assert parse_config(given.to_json()) == given


def test_who_sees_what() -> None:
    """`consistency` has a view per peer and 2.5 times the time masks; a single peer has neither."""
    shared, own = config(cohort={"peers": 3}), config(cohort={"peers": 3, "views": "per-peer"})
    assert (shared.views, own.views) == (1, 3) and own.shown == own.augment
    masks = {"time_masks": 1}
    three = config(cohort={"method": "consistency", "peers": 3}, augment=masks)
    assert three.views == 3 and three.shown == three.augment.model_copy(update={"time_masks": 3})
    alone = config(cohort={"method": "consistency", "views": "per-peer"}, augment=masks)
    assert alone.views == 1 and alone.shown == alone.augment and alone.signature() == config(augment=masks).signature()
    assert len({shared.signature(), own.signature(), three.signature()}) == 3
    said = config(cohort={"method": "consistency", "peers": 3, "views": "per-peer"}, augment=masks)
    assert said.signature() == three.signature()
    idle = config(cohort={"peers": 3, "time_mask_factor": 4})
    assert idle.signature() == shared.signature()


def test_a_trial_name_says_what_the_trial_is() -> None:
    assert config().trial_name().startswith("vanilla-w1-b8-s0-")
    two = config(cohort={"method": "attention", "peers": 2, "widths": [0.5, 0.25]}, seed=3)
    assert two.trial_name().startswith("attention-p2-w0.5+0.25-b8-s3-")
    assert config(cohort={"peers": 2}).trial_name().startswith("independent-p2-")


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text("data: {store: x, crop: [25, 50]}\ncohort: {method: attention, peers: 3}\n")
    loaded = load_config(tmp_path / "trial.yaml")
    assert loaded.cohort.peers == 3
    assert parse_config(loaded.to_json()) == loaded


def test_unreadable_files_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("data: {store: [")
    for name, sentence in (("broken.yaml", "not valid YAML"), ("missing.yaml", "cannot be read")):
        with pytest.raises(LipkdError, match=sentence):
            load_config(tmp_path / name)


def test_differing_fields() -> None:
    assert differing_fields({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 5, "d": 3}, "e": 0}) == ["b.c", "e"]
