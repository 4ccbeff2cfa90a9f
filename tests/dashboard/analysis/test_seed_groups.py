"""Trials of one setting together: their labels, their interval over seeds, the band of their curves."""

import dataclasses

import pytest

from dashboard.analysis.importance import importances
from dashboard.analysis.matched_pairs import gains
from dashboard.analysis.seed_groups import band_rows, controls, interval, setting_rows, settings
from dashboard.analysis.tables import leaderboard_rows
from dashboard.tracking.records import Curve
from lipkd.errors import LipkdError
from tests.dashboard.analysis.test_matched_pairs import trial

TRIALS = [
    *(trial("attention", 2, wer, seed=seed) for seed, wer in enumerate((0.3, 0.4, 0.5))),
    *(trial("vanilla", 1, wer, seed=seed) for seed, wer in enumerate((0.5, 0.7))),
    trial("attention", 2, 0.8, width="0.5"),
]


def test_seeds_and_machines_make_no_setting() -> None:
    """The trials of test_pairing train on as many devices as they have seeds."""
    found = settings(TRIALS)
    assert [(s.label, s.seeds) for s in found] == [
        ("attention ×2, width 1", 3),
        ("vanilla, width 1", 2),
        ("attention ×2, width 0.5", 1),
    ]
    assert found[0].best == pytest.approx(0.4)
    assert controls(found) == {"attention ×2, width 1": found[1]}


def test_a_trial_that_is_not_comparable_is_like_no_other() -> None:
    """Its configuration does not say what it is: no mean, no pair, no control."""
    taker = dataclasses.replace(trial("attention", 2, 0.1, seed=3), incomparable_reason="it went on from better")
    found = settings([*TRIALS, taker])
    assert [(s.seeds, s.label) for s in found][:2] == [
        (1, f"attention ×2, width 1, trial {taker.name}"),
        (3, "attention ×2, width 1, trial –"),
    ]
    assert controls(found) == {found[1].label: found[2]}
    paired = [*TRIALS, taker, trial("vanilla", 1, 0.5, seed=3)]
    assert [gain.pairs for gain in gains(paired, "vanilla")] == [2]
    assert leaderboard_rows([taker])[0]["reason"] == "it went on from better"
    with pytest.raises(LipkdError, match="7 trials have finished"):
        importances([*(trial("dml", 2, seed / 10, seed=seed) for seed in range(7)), taker])


def test_a_label_says_in_what_settings_differ() -> None:
    trials = [*TRIALS[:3], *(trial("attention", 2, 0.6, seed=seed, rate="0.01") for seed in (0, 1))]
    assert [s.label for s in settings(trials)] == [
        "attention ×2, width 1, learning rate 0.1",
        "attention ×2, width 1, learning rate 0.01",
    ]


def test_the_interval_is_students() -> None:
    """0.3, 0.4, 0.5: mean 0.4, deviation 0.1, so 4.3027 · 0.1 / √3 = 0.24841 to either side."""
    found = interval([0.3, 0.4, 0.5])
    assert (found.mean, found.low, found.high) == pytest.approx((0.4, 0.4 - 0.24841, 0.4 + 0.24841), abs=1e-5)
    assert (interval([0.3]).low, interval([0.3]).high) == (None, None)
    assert interval([0.5] * 40).low == 0.5


def test_rows_of_what_is_finished() -> None:
    running = trial("dml", 2, 0.1, state="running")
    rows = setting_rows(settings([*TRIALS, running]))
    assert [(row["setting"], row["seeds"]) for row in rows] == [
        ("attention ×2, width 1", 3),
        ("vanilla, width 1", 2),
        ("attention ×2, width 0.5", 1),
    ]
    assert (rows[0]["lowest"], rows[0]["highest"], rows[0]["cer"], rows[0]["minutes"]) == pytest.approx(
        (0.3, 0.5, 0.2, 1)
    )
    assert rows[2]["low"] is None


def test_a_band_goes_as_far_as_all_seeds() -> None:
    """Epochs 1 and 2 are there twice; the third seed has reported nothing yet and holds nobody up."""
    (setting,) = settings(TRIALS[:3])
    curves = [Curve("a", "m", (1, 2, 3), (0.9, 0.6, 0.1)), Curve("b", "m", (1, 2), (0.7, 0.2)), Curve("c", "m", (), ())]
    rows = band_rows(setting, curves, 100)
    assert [(row["epoch"], row["mean"], row["low"], row["high"], row["trials"]) for row in rows] == [
        (1, pytest.approx(80), pytest.approx(70), pytest.approx(90), 2),
        (2, pytest.approx(40), pytest.approx(20), pytest.approx(60), 2),
    ]
    assert band_rows(setting, [], 100) == []
