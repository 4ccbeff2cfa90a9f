"""Error rate against cost: rows from trials' parameters as MLflow holds them."""

import dataclasses
from typing import Any

import pytest

from dashboard import tradeoff
from dashboard.charts import group_colours
from dashboard.records import Trial
from lipkd.cost import network_cost
from lipkd.network import network_shape
from tests.dashboard.test_pairing import trial

PICTURE = (50, 100, 3)


def known(method: str, peers: int, wer: float, *, width: str = "1.0", **config: str) -> Trial:
    plain = trial(method, peers, wer, width=width, seed=int(config.pop("seed", "0")))
    stored = {
        "network.name": "lipnet",
        "network.width": width,
        "cohort.peers": str(peers),
        "cohort.widths": "null",
        "data.crop": "[24, 48]",
        "data.alphabet": " abc",
    }
    return dataclasses.replace(plain, config=plain.config | stored | config)


def test_the_cost_is_that_of_one_peer_at_the_size_it_sees() -> None:
    expected = network_cost(network_shape("lipnet", 0.5, picture=(24, 48, 3), symbols=5))
    assert tradeoff.trial_cost(known("dml", 2, 0.4, width="0.5"), PICTURE) == expected
    whole = known("vanilla", 1, 0.4, width="0.5", **{"data.crop": "null"})
    assert tradeoff.trial_cost(whole, PICTURE) == network_cost(network_shape("lipnet", 0.5, picture=PICTURE, symbols=5))


@pytest.mark.parametrize(
    "config",
    [{"cohort.widths": "[1.0, 0.5]"}, {"network.name": "resnet"}, {"data.crop": "[24"}, {"network.width": "0.001"}],
)
def test_no_cost_where_it_cannot_be_told(config: dict[str, str]) -> None:
    assert tradeoff.trial_cost(known("dml", 2, 0.4, **config), PICTURE) is None
    assert tradeoff.trial_cost(trial("dml", 2, 0.4), PICTURE) is None


def test_rows_are_means_over_seeds_smallest_network_first() -> None:
    trials = [
        known("vanilla", 1, 0.4),
        known("vanilla", 1, 0.5, seed="1"),
        known("dml", 2, 0.6, width="0.5"),
        known("dml", 2, 0.1, width="0.25", **{"cohort.widths": "[0.25, 1.0]"}),
        dataclasses.replace(known("vanilla", 1, 0.1), state="running"),
    ]
    rows = tradeoff.tradeoff_rows(trials, lambda _: PICTURE)
    assert [(row["group"], row["width"], row["WER"], row["trials"]) for row in rows] == [
        ("dml ×2", "0.5", pytest.approx(60.0), 1),
        ("vanilla", "1.0", pytest.approx(45.0), 2),
    ]
    assert rows[0]["multiply_adds"] < rows[1]["multiply_adds"]
    assert tradeoff.tradeoff_rows(trials, lambda _: None) == []


@pytest.mark.parametrize(("rate", "by"), [("WER", "multiply_adds"), ("CER", "parameters")])
def test_the_figure_is_valid(rate: str, by: Any) -> None:
    trials = [known("vanilla", 1, 0.4), known("dml", 2, 0.6, width="0.5")]
    rows = tradeoff.tradeoff_rows(trials, lambda _: PICTURE)
    drawn = tradeoff.tradeoff_chart(rows, group_colours(trials), rate, by=by).to_dict()
    assert len(drawn["layer"]) == 2 and drawn["layer"][0]["encoding"]["x"]["field"] == by
