"""What a trial costs: the network of its deployed peer, from its parameters as MLflow holds them."""

import dataclasses

import pytest

from dashboard.analysis.tradeoff import TIME, cost_rows, front_summary, peer_cost
from dashboard.charts import charts
from dashboard.tracking.records import Trial
from lipkd.model.cost import network_cost
from lipkd.model.lipnet import network_shape
from tests.dashboard.analysis.test_matched_pairs import trial

PICTURE = (50, 100, 3)
PARAMETERS, ADDS = "parameters of the deployed peer", "multiply-adds per second of video"


def known(method: str, peers: int, wer: float, *, width: str = "1.0", **config: str) -> Trial:
    stored = {
        "network.name": "lipnet",
        "network.width": width,
        "cohort.peers": str(peers),
        "cohort.widths": "null",
        "data.crop": "[24, 48]",
        "data.alphabet": " abc",
    }
    plain = trial(method, peers, wer, width=width)
    return dataclasses.replace(plain, config=plain.config | stored | config)


def picture_of(_: Trial) -> tuple[int, int, int]:
    return PICTURE


def test_the_cost_is_that_of_one_peer_at_the_size_it_sees() -> None:
    expected = network_cost(network_shape("lipnet", 0.5, picture=(24, 48, 3), symbols=5))
    assert peer_cost(known("dml", 2, 0.4, width="0.5"), picture_of) == expected
    whole = network_cost(network_shape("lipnet", 0.5, picture=PICTURE, symbols=5))
    assert peer_cost(known("vanilla", 1, 0.4, width="0.5", **{"data.crop": "null"}), picture_of) == whole


@pytest.mark.parametrize(
    "config",
    [{"cohort.widths": "[1.0, 0.5]"}, {"network.name": "resnet"}, {"data.crop": "[24"}, {"network.width": "0.001"}],
)
def test_no_cost_where_it_is_unknown(config: dict[str, str]) -> None:
    assert peer_cost(known("dml", 2, 0.4, **config), picture_of) is None
    assert peer_cost(trial("dml", 2, 0.4), picture_of) is None
    assert peer_cost(known("dml", 2, 0.4), lambda _: None) is None


@pytest.mark.parametrize("cost", [PARAMETERS, ADDS])
def test_a_smaller_network_is_cheaper_and_as_many_peers_cost_the_same(cost: str) -> None:
    """Deployed is one peer: of two equal costs the better is on the front, and the small network before it."""
    trials = [known("vanilla", 1, 0.4), known("dml", 2, 0.3), known("dml", 2, 0.6, width="0.5"), trial("dml", 2, 0.1)]
    rows = cost_rows(trials, cost, picture_of)
    assert [(row["WER"], row["front"]) for row in rows] == [
        (pytest.approx(60), True),
        (pytest.approx(30), True),
        (pytest.approx(40), False),
    ]
    assert rows[0]["cost"] < rows[1]["cost"] == rows[2]["cost"]
    drawn = charts.cost_front(rows, charts.group_colours(trials), cost).to_dict()
    assert drawn["layer"][0]["encoding"]["x"]["axis"]["format"] == "~s"


def test_what_a_trial_says_of_itself_needs_no_store() -> None:
    said = {"cost/parameters": 7.0, "cost/multiply_adds_per_s": 9.0}
    one = trial("dml", 2, 0.4)
    one = dataclasses.replace(one, latest=one.latest | said)
    values = [cost_rows([one], cost, lambda _: None)[0]["cost"] for cost in (PARAMETERS, ADDS)]
    assert values == [7.0, 9.0]


def test_the_front_in_words() -> None:
    """All took a minute but the dearer, better one; one runs, and one of those that are over has no time."""
    plain = [trial("vanilla", 1, 0.4), trial("dml", 2, 0.45), trial("one", 2, 0.2, state="running")]
    dearer = dataclasses.replace(trial("attention", 2, 0.3), seconds=120.0)
    timeless = dataclasses.replace(trial("sequence", 2, 0.1), seconds=None)
    trials = [*plain, dearer, timeless]
    rows = cost_rows(trials, TIME, picture_of)
    assert [row["trial"] for row in rows] == [plain[0].name, plain[1].name, dearer.name]
    assert front_summary(trials, rows, TIME) == (
        f"Cheapest first, each better than all that cost less: {plain[0].name} (40.0 %), {dearer.name} (30.0 %). "
        "Left out: 1 trial still running, whose cost is not known before the end. "
        "Left out: 1 trial of which this cost is not known. "
        "Training times depend on what else ran on the machine at that time."
    )
    assert front_summary(plain[2:], [], PARAMETERS).startswith("Left out: 1 trial still running")
