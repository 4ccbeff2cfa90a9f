"""Peers side by side: values worked out by hand, figures that are valid Vega-Lite."""

import math

import numpy as np
import pytest

from dashboard.charts import peer_charts

SYMBOLS = ("blank", " ", "a")


def test_divergence_by_hand() -> None:
    """Two peers, two frames, two symbols: they agree in the first; in the second ½, ½ against ¼, ¾."""
    posteriors = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.9, 0.1], [0.25, 0.75]]])
    from_1 = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)  # KL(p_1 ‖ p_0), what peer 0 would learn
    from_0 = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert peer_charts.divergence(posteriors) == pytest.approx(np.array([[0.0, from_1], [0.0, from_0]]))
    rows = peer_charts.divergence_rows(posteriors, seconds=0.08)
    assert [(row["peer"], row["second"]) for row in rows] == [
        ("peer 0", 0.02),
        ("peer 0", 0.06),
        ("peer 1", 0.02),
        ("peer 1", 0.06),
    ]
    assert [row["nats"] for row in rows] == pytest.approx([0.0, from_1, 0.0, from_0])


def test_of_three_peers_the_odd_one_out_is_farthest() -> None:
    same, other = [[0.8, 0.2]], [[0.2, 0.8]]
    away = 0.6 * math.log(4)  # KL between the two, either way
    assert peer_charts.divergence(np.array([same, same, other]))[:, 0] == pytest.approx([away / 2, away / 2, away])


def test_half_precision_zeros_stay_finite_and_one_peer_is_at_one_with_itself() -> None:
    posteriors = np.array([[[1.0, 0.0]], [[0.0, 1.0]]], np.float16)
    assert np.isfinite(peer_charts.divergence(posteriors)).all() and (peer_charts.divergence(posteriors) > 10).all()
    assert peer_charts.divergence(posteriors[:1]).tolist() == [[0.0]]


def test_spikes_by_hand() -> None:
    """Peer 0 says a in frames 1–2, highest in 2, then a space; peer 1 says nothing."""
    talks = [[0.9, 0.1, 0.0], [0.4, 0.1, 0.5], [0.2, 0.1, 0.7], [0.3, 0.6, 0.1]]
    silent = [[1.0, 0.0, 0.0]] * 4
    rows = peer_charts.spike_rows(np.array([talks, silent]), SYMBOLS, seconds=0.16)
    assert [(row["peer"], row["symbol"]) for row in rows] == [("peer 0", "a"), ("peer 0", "␣")]
    assert [rows[0][key] for key in ("start", "end", "second", "posterior")] == pytest.approx([0.04, 0.12, 0.1, 0.7])
    assert [rows[1][key] for key in ("start", "end", "second", "posterior")] == pytest.approx([0.12, 0.16, 0.14, 0.6])


@pytest.mark.parametrize("dark", [True, False])
def test_the_figure_shows_letters_above_divergence(dark: bool) -> None:
    posteriors = np.random.default_rng(0).dirichlet(np.ones(3), (9, 20))
    spikes = peer_charts.spike_rows(posteriors, SYMBOLS, 0.8)
    above, below = peer_charts.peers_charts(peer_charts.divergence_rows(posteriors, 0.8), spikes, 9, 0.8, dark=dark)
    letters, lines = above.to_dict(), below.to_dict()
    assert len(letters["layer"]) == 2 and lines["encoding"]["y"]["field"] == "nats"
    domains = [drawn["encoding"]["x"]["scale"]["domain"] for drawn in (*letters["layer"], lines)]
    assert domains == [[0, 0.8]] * 3
    assert all(chart.to_dict() for chart in peer_charts.peers_charts([], [], 2, 0.8, dark=dark))
