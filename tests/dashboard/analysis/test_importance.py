"""Which parameters matter, and where lines cross the axes."""

import dataclasses

import pytest

from dashboard.analysis.importance import importances, parallel_rows, usable_trials, varied
from dashboard.charts.seed_group_charts import importance_bars
from dashboard.tracking.records import Trial
from lipkd.errors import LipkdError
from tests.dashboard.analysis.test_matched_pairs import trial


def grid() -> list[Trial]:
    """Width decides everything, the seed a little; the method and the learning rate change together."""
    return [
        trial(method, 2, 0.3 * (width == "0.5") + 0.01 * seed + 0.2, width=width, seed=seed, rate=rate)
        for method, rate in (("dml", "0.1"), ("attention", "0.2"))
        for width in ("1", "0.5")
        for seed in (0, 1, 2)
    ]


def test_what_decides_comes_first_and_shares_add_up() -> None:
    found = importances(grid())
    assert found[0].parameters == ("network.width",) and found[0].share > 0.9
    assert sum(one.share for one in found) == pytest.approx(1)
    assert {one.parameters for one in found} == {
        ("network.width",),
        ("seed",),
        ("cohort.method", "training.learning_rate"),
    }
    assert found == importances(grid())


def test_a_bar_says_its_share() -> None:
    drawn = importance_bars([{"parameter": "width", "share": 91.26, "values": 2}], dark=False).to_dict()
    assert [layer["mark"]["type"] for layer in drawn["layer"]] == ["bar", "text"]
    assert drawn["layer"][1]["encoding"]["text"]["field"] == "label"
    (rows,) = drawn["datasets"].values()
    assert rows[0]["label"] == "91.3 %"


def test_importance_is_computed_from_comparable_trials() -> None:
    others = [
        trial("dml", 2, 0.1, state="stopped"),
        dataclasses.replace(trial("dml", 2, 0.1), incomparable_reason="it went on from another"),
    ]
    assert usable_trials([*grid(), *others]) == grid()


def test_too_little_to_tell() -> None:
    for trials, sentence in (
        (grid()[:7], "7 trials have finished, and importance needs at least 8"),
        ([trial("dml", 2, 0.5)] * 8, "differ in no parameter"),
        ([trial("dml", 2, 0.5, seed=seed) for seed in range(8)], "all have the same WER"),
    ):
        with pytest.raises(LipkdError, match=sentence):
            importances(trials)


def test_machines_are_no_parameters() -> None:
    assert set(varied([trial("dml", 2, 0.5, seed=0), trial("dml", 2, 0.5, seed=1)])) == {("seed",)}


def test_axes_end_with_the_rate() -> None:
    """Widths 1 and 0.5 stand at the ends of their axis, words in their order; a rate of 20 % is the lowest."""
    trials = [trial("dml", 2, 0.2), trial("attention", 2, 0.4, width="0.5"), trial("vanilla", 1, 0.3)]
    rows = parallel_rows(trials)
    places = {(row["axis"], row["value"]): row["place"] for row in rows}
    assert places == {
        ("method", "attention"): 0,
        ("method", "dml"): 0.5,
        ("method", "vanilla"): 1,
        ("width", "1"): 1,
        ("width", "0.5"): 0,
        ("best WER", "20.0 %"): 0,
        ("best WER", "40.0 %"): 1,
        ("best WER", "30.0 %"): pytest.approx(0.5),
    }
    assert len(rows) == 9 and parallel_rows([]) == []
