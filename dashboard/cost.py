"""What a rate costs: trials on two scales of which less is better, and those that none beats on both."""

from collections.abc import Callable, Sequence
from typing import Any

from dashboard.pairing import width_value
from dashboard.records import Trial

COSTS: dict[str, Callable[[Trial], float | None]] = {
    "training time, min": lambda t: None if t.seconds is None else t.seconds / 60,
    "memory, MB": lambda t: t.latest.get("memory/peak_mb"),
    "width × peers": lambda t: width_value(t.width) * t.peers or None,
}


def cost_rows(trials: Sequence[Trial], cost: str) -> list[dict[str, Any]]:
    """A row per trial with a result and a value of one of COSTS, the cheapest first; `front` marks the Pareto front:
    trials that no other equals or beats on both scales."""
    found = [(COSTS[cost](t), t) for t in trials if t.best_wer is not None]
    points = sorted(((value, t.best_wer or 0.0, t) for value, t in found if value is not None), key=lambda p: p[:2])
    rows, lowest = [], float("inf")
    for value, wer, trial in points:
        front = wer < lowest
        lowest = min(lowest, wer)
        rows.append({"trial": trial.name, "group": trial.group, "cost": value, "WER": 100 * wer, "front": front})
    return rows
