"""What a trial costs: the network of its deployed peer, from its parameters as MLflow holds them."""

import dataclasses

import pytest

from dashboard.analysis.tradeoff import TIME, cost_rows, front_summary
from dashboard.charts import charts
from dashboard.tracking.records import Trial
from tests.dashboard.analysis.test_matched_pairs import trial

PARAMETERS, ADDS = "parameters of the deployed peer", "multiply-adds per second of video"


def known(method: str, peers: int, wer: float, *, width: str = "1.0") -> Trial:
    """A trial that says what its peer costs: per unit of width a million parameters, ten million multiply-adds."""
    plain = trial(method, peers, wer, width=width)
    cost = {"cost/parameters": 1e6 * float(width), "cost/multiply_adds_per_s": 1e7 * float(width)}
    return dataclasses.replace(plain, latest=plain.latest | cost)


@pytest.mark.parametrize("cost", [PARAMETERS, ADDS])
def test_a_smaller_network_is_cheaper_and_as_many_peers_cost_the_same(cost: str) -> None:
    """Deployed is one peer: of two equal costs the better is on the front, and the small network before it."""
    trials = [known("vanilla", 1, 0.4), known("dml", 2, 0.3), known("dml", 2, 0.6, width="0.5"), trial("dml", 2, 0.1)]
    rows = cost_rows(trials, cost)
    assert [(row["WER"], row["front"]) for row in rows] == [
        (pytest.approx(60), True),
        (pytest.approx(30), True),
        (pytest.approx(40), False),
    ]
    assert rows[0]["cost"] < rows[1]["cost"] == rows[2]["cost"]
    drawn = charts.cost_front(rows, charts.group_colours(trials), cost).to_dict()
    assert drawn["layer"][0]["encoding"]["x"]["axis"]["format"] == "~s"


def test_the_front_in_words() -> None:
    """All took a minute but the dearer, better one; one runs, and one of those that are over has no time."""
    plain = [trial("vanilla", 1, 0.4), trial("dml", 2, 0.45), trial("one", 2, 0.2, state="running")]
    dearer = dataclasses.replace(trial("attention", 2, 0.3), seconds=120.0)
    timeless = dataclasses.replace(trial("sequence", 2, 0.1), seconds=None)
    trials = [*plain, dearer, timeless]
    rows = cost_rows(trials, TIME)
    assert [row["trial"] for row in rows] == [plain[0].name, plain[1].name, dearer.name]
    assert front_summary(trials, rows, TIME) == (
        f"Cheapest first, each better than all that cost less: {plain[0].name} (40.0 %), {dearer.name} (30.0 %). "
        "Left out: 1 trial still running, whose cost is not known before the end. "
        "Left out: 1 trial of which this cost is not known. "
        "Training times depend on what else ran on the machine at that time."
    )
    assert front_summary(plain[2:], [], PARAMETERS).startswith("Left out: 1 trial still running")
