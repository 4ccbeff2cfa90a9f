"""What makes two trials equal but for their cohorts: one rule for compare, for pairs and for settings over seeds."""

from typing import Any

import pytest

from dashboard.analysis.matched_pairs import gains
from dashboard.analysis.seed_groups import controls, settings
from dashboard.tracking.records import Trial
from lipkd.config.trial_config import MACHINE, TrialConfig, parse_config
from lipkd.evaluation.compare import controlled
from lipkd.evaluation.matching import deciding, differing, surroundings
from tests.dashboard.analysis.test_matched_pairs import trial as tracked

PAIR: tuple[dict[str, Any], dict[str, Any]] = (
    {"data": {"store": "x"}},
    {"data": {"store": "x"}, "cohort": {"peers": 2, "method": "dml", "weight": 0.5}},
)
DIFFERENCES: list[tuple[dict[str, Any], bool]] = [  # of the second trial, and whether the two are still a pair
    ({}, True),
    ({"data": {"store": "moved"}}, True),
    ({"training": {"device": "cuda:1", "threads": 2, "checkpoint_every": 5}}, True),
    ({"training": {"batch_size": 4}}, False),
    ({"network": {"name": "lipnet-128"}}, False),
    ({"augment": {"shift": 0.1}}, False),
    ({"data": {"store": "x", "split_seed": 1}}, False),
]


class Finished:
    """A finished trial, as `compare` reads it."""

    def __init__(self, config: TrialConfig) -> None:
        self.own, self.name = config, config.trial_name()

    def config(self) -> TrialConfig:
        return self.own

    def split(self) -> dict[str, Any]:
        return {"store_digest": "d"}

    def state(self) -> dict[str, Any]:
        return {"state": "finished"}

    def incomparable_reason(self) -> str:
        return ""

    def read_predictions(self, which: str = "best") -> list[dict[str, Any]]:
        raise AssertionError("who is paired with whom needs no predictions")


def in_mlflow(config: TrialConfig) -> Trial:
    """The same trial as the dashboard has it."""
    method = "vanilla" if config.cohort.peers == 1 else config.cohort.method
    one = tracked(method, config.cohort.peers, 0.5)
    return Trial(**{**vars(one), "config": config.flat(), "store_digest": "d"})


@pytest.mark.parametrize(("more", "pair"), DIFFERENCES)
def test_compare_pairs_and_settings_agree_on_what_is_equal(more: dict[str, Any], pair: bool) -> None:
    configs = [parse_config(PAIR[0]), parse_config({**PAIR[1], **more})]
    assert bool(controlled([Finished(config) for config in configs])) is pair
    trials = [in_mlflow(config) for config in configs]
    assert bool(gains(trials, "vanilla")) is pair
    assert bool(controls(settings(trials))) is pair


def test_what_decides_is_all_but_the_machine() -> None:
    config = parse_config({"data": {"store": "x"}, "seed": 3})
    decided = deciding(config.flat(), "d")
    assert decided["data.digest"] == "d" and decided["seed"] == "3" and not set(MACHINE) & set(decided)
    left = set(decided) - set(surroundings(config.flat(), "d"))
    assert {"seed", "network.width", "cohort.method"} <= left
    assert all(name == "seed" or name.startswith(("cohort.", "network.width")) for name in left)


def test_a_parameter_that_only_some_have_is_one_in_which_they_differ() -> None:
    assert differing([{"b": "1", "a": "2", "c": "3"}, {"a": "4", "b": "1"}]) == ["a", "c"]
    assert differing([{"a": "1"}]) == [] and differing([]) == []
