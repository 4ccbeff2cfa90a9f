"""Which trials look alike: only those that differ in nothing but their seed."""

import dataclasses

from dashboard.analysis.series import series_of
from tests.dashboard.analysis.test_matched_pairs import trial


def labels(*trials: object) -> list[str]:
    return [series.label for series in series_of(trials).values()]  # type: ignore[arg-type]


def test_the_seed_and_the_machine_do_not_count() -> None:
    assert labels(trial("dml", 2, 0.1), trial("dml", 2, 0.2, seed=1)) == ["dml ×2", "dml ×2"]
    assert labels() == []


def test_whatever_else_differs_is_named_the_width_first() -> None:
    one = trial("dml", 2, 0.1, rate="0.01")
    other = dataclasses.replace(trial("dml", 2, 0.2, width="0.5", rate="0.02"), batch_size=16)
    assert labels(one, other) == [
        "dml ×2, width 1, batch size 8, learning rate 0.01",
        "dml ×2, width 0.5, batch size 16, learning rate 0.02",
    ]


def test_parameters_of_a_method_count_within_its_group() -> None:
    """`cohort.weight` tells two trials of dml apart; of vanilla, which has another, it would say nothing."""

    def weighted(method: str, peers: int, weight: str) -> object:
        made = trial(method, peers, 0.1)
        return dataclasses.replace(made, run_id=f"{method}{weight}", config=made.config | {"cohort.weight": weight})

    found = labels(weighted("vanilla", 1, "1"), weighted("dml", 2, "0.5"), weighted("dml", 2, "2"))
    assert found == ["vanilla", "dml ×2, weight 0.5", "dml ×2, weight 2"]
