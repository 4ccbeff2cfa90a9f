"""How far a sweep is, worked out by hand."""

import dataclasses

import pytest

from dashboard.analysis.sweep_progress import abandoned_summary, initial_sweep, may_change, progress
from dashboard.tracking.records import Sweep
from tests.dashboard.analysis.test_matched_pairs import trial

SWEEP = Sweep("s", "name", "lipkd", "1", "finished", 0.0)


def test_what_is_left_goes_as_fast_as_until_now() -> None:
    """One is over after 4 of 10 epochs; two run, 6 of 10 and 4 of 10 done in 100 seconds: 10 more take 100 seconds."""
    over = dataclasses.replace(trial("vanilla", 1, 0.5, state="stopped"), config={"training.epochs": "10"})
    running = dataclasses.replace(trial("dml", 2, 0.4, state="running"), config={"training.epochs": "10"}, began=900.0)
    running = dataclasses.replace(running, latest={"time/clips_per_s": 5.0, "memory/peak_mb": 100.0})
    trials = [over, dataclasses.replace(running, epochs=6), dataclasses.replace(running, epochs=4)]
    far = progress(trials, now=1000.0)
    assert (far.done, far.planned) == (14, 24) and far.share == pytest.approx(14 / 24)
    assert far.left == pytest.approx(100)
    assert (far.states, far.cost) == ({"stopped": 1, "running": 2}, 180.0)
    assert (far.best_wer, far.best_cer) == (0.4, 0.2)
    assert (far.clips_per_s, far.memory_mb) == (10.0, 200.0)
    assert may_change(SWEEP, trials) and not may_change(SWEEP, trials[:1])


def test_a_sweep_without_trials() -> None:
    far = progress([], now=0.0)
    assert (far.share, far.left, far.best_wer, far.clips_per_s) == (0.0, None, None, None)
    assert may_change(dataclasses.replace(SWEEP, state="running"), [])


def test_what_was_abandoned_is_not_done() -> None:
    """One is over after 10 of 10 epochs, one was left after 4 of 10: 14 of 20, and nobody knows when it is over;
    beside one that has done 5 of 10 in 100 seconds, its 5 are what is left."""
    config = {"training.epochs": "10"}
    over = dataclasses.replace(trial("vanilla", 1, 0.5), config=config, epochs=10)
    left = dataclasses.replace(trial("dml", 2, 0.4, state="abandoned"), config=config, epochs=4)
    far = progress([over, left], now=1000.0)
    assert (far.done, far.planned, far.left) == (14, 20, None) and far.share == pytest.approx(0.7)
    assert abandoned_summary([over, left]) == (
        f"1 trial is abandoned: no process works on it any more: {left.name} after epoch 4 of 10."
    )
    assert abandoned_summary([over]) == ""
    assert abandoned_summary([left] * 7).startswith("7 trials are") and abandoned_summary([left] * 7).endswith(
        "and 2 more."
    )
    running = dataclasses.replace(trial("dml", 2, 0.4, state="running"), config=config, epochs=5, began=900.0)
    assert progress([left, running], now=1000.0).left == pytest.approx(100)


def test_the_sweep_that_is_opened_has_a_result() -> None:
    """The latest has none yet, the second a rate of a trial that runs, the third one of a trial that has ended."""
    sweeps = [dataclasses.replace(SWEEP, run_id=name) for name in ("latest", "going", "over")]
    trials = {
        "latest": [dataclasses.replace(trial("dml", 2, 0.4, state="failed"), best_epoch=None)],
        "going": [trial("dml", 2, 0.4, state="running")],
        "over": [trial("dml", 2, 0.4, state="running"), trial("dml", 2, 0.5, state="stopped")],
    }
    assert initial_sweep(sweeps, lambda sweep: trials[sweep.run_id]).run_id == "over"
    assert initial_sweep(sweeps[:2], lambda sweep: trials[sweep.run_id]).run_id == "going"
    single = dataclasses.replace(SWEEP, run_id="over", name="single")
    assert initial_sweep([single, *sweeps[:2]], lambda sweep: trials[sweep.run_id]).run_id == "going"
    assert initial_sweep([single], lambda sweep: trials[sweep.run_id]) is single
    assert initial_sweep(sweeps[:1], lambda sweep: trials[sweep.run_id]).run_id == "latest"
