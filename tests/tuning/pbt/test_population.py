"""Which trial copies which, and with which values, worked out by hand."""

from typing import Any

import pytest

from lipkd.config.trial_config import validate
from lipkd.errors import LipkdError
from tests.tuning.trials import trial_config
from tuning.pbt.lineage import Exploit
from tuning.pbt.population import check, choose_exploits, explore, populations, quantile_of
from tuning.plan.planner import Planned
from tuning.plan.sweep_config import SchedulerConfig

RATE, WEIGHT, MASKS = "training.learning_rate", "cohort.weight", "augment.time_masks"


def scheduler(**fields: Any) -> SchedulerConfig:
    mutate = {RATE: {"loguniform": ["1e-4", "1e-2"]}}
    return validate(SchedulerConfig, {"name": "pbt", "every_epochs": 2, "mutate": mutate, **fields}, "s.yaml")


class Script:
    """A generator whose numbers from 0 to 1 are given; of a range it gives the middle, of a list the last."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        return self.numbers.pop(0)

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2

    def integers(self, low: int, high: int | None = None) -> int:
        return (low if high is None else high) - 1


@pytest.mark.parametrize(
    ("count", "quantile", "expected"),
    [(4, 0.25, 1), (5, 0.25, 2), (8, 0.25, 2), (2, 0.25, 1), (3, 0.5, 1), (4, 0.5, 2), (1, 0.25, 0), (0, 0.25, 0)],
)
def test_how_many_are_at_either_end(count: int, quantile: float, expected: int) -> None:
    assert quantile_of(count, quantile) == expected


def chosen(scores: dict[str, float], quantile: float = 0.25, *, mode: str = "min", seed: int = 0) -> dict[str, str]:
    values = {name: {RATE: 0.001} for name in scores}
    exploits = choose_exploits(scores, values, scheduler(quantile=quantile), mode=mode, seed=seed, epoch=2)
    return {name: exploit.parent for name, exploit in exploits.items()}


def test_the_worst_quantile_copies_the_best() -> None:
    scores = {"a": 0.6, "b": 0.2, "c": 0.8, "d": 0.4}
    assert chosen(scores) == {"c": "b"}
    assert chosen(scores, mode="max") == {"b": "c"}
    drawn = [chosen(scores, 0.5, seed=seed) for seed in range(20)]
    assert all(set(who) == {"a", "c"} for who in drawn)
    assert {who["a"] for who in drawn} == {who["c"] for who in drawn} == {"b", "d"}
    assert chosen({"a": 0.1}) == chosen({}) == {}


def test_an_equal_is_not_copied() -> None:
    """In the first epochs of lip-reading every trial gets every word wrong."""
    assert chosen({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, 0.5) == {}
    assert set(chosen({"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.9}, 0.5)) == {"d"}
    # c is no better than b, so only a is left to it, whatever is drawn
    assert {chosen({"a": 0.1, "b": 0.5, "c": 0.5, "d": 0.9}, 0.5, seed=s)["c"] for s in range(20)} == {"a"}


def test_what_is_chosen_follows_from_seed_epoch_and_trial_alone() -> None:
    scores = {name: i / 8 for i, name in enumerate("abcdefgh")}
    values = {name: {RATE: 0.001} for name in scores}

    def choice(seed: int, epoch: int) -> dict[str, Exploit]:
        return choose_exploits(scores, values, scheduler(), mode="min", seed=seed, epoch=epoch)

    assert choice(0, 2) == choice(0, 2)
    assert len({str(choice(seed, epoch)) for seed in (0, 1) for epoch in (2, 4)}) == 4
    exploit = choice(0, 2)["h"]
    assert exploit.epoch == 2 and exploit.before == {RATE: 0.001} and 1e-4 <= exploit.values[RATE] <= 1e-2


@pytest.mark.parametrize(
    ("key", "space", "value", "numbers", "expected"),
    [
        (RATE, {"loguniform": [1e-4, 1e-2]}, 1e-3, (0.9, 0.1), 1.2e-3),
        (RATE, {"loguniform": [1e-4, 1e-2]}, 1e-3, (0.9, 0.6), 8e-4),
        (RATE, {"loguniform": [1e-4, 1e-2]}, 9e-3, (0.9, 0.1), 1e-2),  # not beyond the range
        (RATE, {"loguniform": [1e-4, 1e-2]}, 9e-3, (0.1,), 1e-3),  # drawn anew: the middle, in the logarithm
        (WEIGHT, {"uniform": [0, 4]}, 1.0, (0.1,), 2.0),
        (WEIGHT, [0.5, 1, 2], 1.0, (0.9, 0.1), 2.0),
        (WEIGHT, [0.5, 1, 2], 1.0, (0.9, 0.6), 0.5),
        (WEIGHT, [0.5, 1, 2], 2.0, (0.9, 0.1), 2.0),  # there is no neighbour above
        (WEIGHT, [0.5, 1, 2], 1.5, (0.9, 0.1), 2.0),  # not in the list: drawn anew, here the last
        (MASKS, {"randint": [0, 10]}, 10, (0.9, 0.6), 8),
        (MASKS, {"randint": [0, 10]}, 2, (0.9, 0.1), 3),  # 2.4 would be 2 again
        (MASKS, {"randint": [0, 10]}, 2, (0.9, 0.6), 1),
        (MASKS, {"randint": [0, 10]}, 0, (0.9, 0.6), 0),
        (MASKS, {"randint": [0, 10]}, 0, (0.1,), 10),
    ],
)
def test_a_step_and_a_draw(key: str, space: Any, value: float, numbers: tuple[float, ...], expected: float) -> None:
    rng: Any = Script(*numbers)
    found = explore({key: value}, scheduler(mutate={key: space}).mutate, 0.25, rng)
    assert found == {key: pytest.approx(expected)}
    assert rng.numbers == []
    assert type(found[key]) is (int if key == MASKS else float)


def planned(**changes: Any) -> Planned:
    config = trial_config(**changes)
    return Planned(config.trial_name(), config)


def test_a_population_is_equal_but_for_what_is_mutated() -> None:
    rates = [{"training": {"learning_rate": rate}} for rate in (1e-3, 2e-3)]
    trials = [
        planned(seed=seed, cohort={"peers": peers}, **rate) for seed in (0, 1) for peers in (1, 2) for rate in rates
    ]
    found = populations(trials, [RATE])
    assert [[trials.index(trial) for trial in population] for population in found] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert [len(p) for p in populations(trials, [RATE, WEIGHT])] == [2, 2, 2, 2]
    assert [len(p) for p in populations([planned(), planned(training={"threads": 3})], [RATE])] == [2]


@pytest.mark.parametrize(
    ("changes", "fields", "message"),
    [
        ({"training": {"epochs": 2}}, {}, "scheduler.every_epochs = 2: has to be below training.epochs = 2"),
        ({"training": {"patience": 3}}, {}, "training.patience = 3: has to be 0"),
        ({"schedule": [{"after": 1, "values": {RATE: 0.1}}]}, {}, f"{RATE}: in the trial's schedule and mutated"),
        ({"training": {"word_weight": 0}}, {"mutate": {"training.word_weight": [1]}}, "begins with 0 has no words"),
        ({}, {}, f"is alone; a population is two trials or more that differ in nothing but {RATE}"),
    ],
)
def test_what_cannot_be_a_population(changes: dict[str, Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(LipkdError, match=message) as caught:
        check([planned(**changes)], scheduler(**fields), "s.yaml")
    assert str(caught.value).startswith("s.yaml: ") and "\n" not in str(caught.value)


def test_two_that_differ_in_a_mutated_value_are_a_population() -> None:
    check([planned(), planned(training={"learning_rate": 1e-3})], scheduler(), "s.yaml")
