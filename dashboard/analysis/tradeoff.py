"""What a rate costs: trials on two scales of which less is better, and those that none beats on both."""

from collections.abc import Callable, Sequence
from typing import Any

from dashboard.analysis.matched_pairs import width_value
from dashboard.analysis.series import series_of
from dashboard.tracking.records import Trial

TIME = "training time, min"


def cost_rows(trials: Sequence[Trial], cost: str) -> list[dict[str, Any]]:
    """A row per trial with a result and a value of one of COSTS, the cheapest first; `front` marks the Pareto front:
    trials that no other equals or beats on both scales. One that still runs is left out: it will cost more.
    """
    found = [(COSTS[cost](t), t) for t in trials if t.best_wer is not None and t.state != "running"]
    points = sorted(((value, t.best_wer or 0.0, t) for value, t in found if value is not None), key=lambda p: p[:2])
    series = series_of([trial for *_, trial in points])
    rows, lowest = [], float("inf")
    for value, wer, trial in points:
        front = wer < lowest
        lowest = min(wer, lowest)
        own = series[trial.run_id]
        named = {"trial": trial.name, "group": own.group, "variant": own.variant, "series": own.label}
        rows.append(named | {"cost": value, "WER": 100 * wer, "front": front})
    return rows


def front_summary(trials: Sequence[Trial], rows: Sequence[dict[str, Any]], cost: str) -> str:
    """The figure of cost_rows in words: its front, which trials are missing, and how far its costs can be trusted."""
    best = ", ".join(f"{row['trial']} ({row['WER']:.1f} %)" for row in rows if row["front"])
    sentences = [f"Cheapest first, each better than all that cost less: {best}."] if best else []
    running = sum(trial.state == "running" for trial in trials)
    if running:
        sentences.append(f"Left out: {_trials(running)} still running, whose cost is not known before the end.")
    unknown = sum(t.state != "running" and t.best_wer is not None for t in trials) - len(rows)
    if unknown:
        sentences.append(f"Left out: {_trials(unknown)} of which this cost is not known.")
    if cost == TIME:
        sentences.append("Training times depend on what else ran on the machine at that time.")
    return " ".join(sentences)


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


COSTS: dict[str, Callable[[Trial], float | None]] = {
    TIME: lambda t: None if t.seconds is None else t.seconds / 60,
    "memory, MB": lambda t: t.latest.get("memory/peak_mb"),
    "width × peers": lambda t: width_value(t.width) * t.peers or None,
    "parameters of the deployed peer": lambda t: t.latest.get("cost/parameters"),
    "multiply-adds per second of video": lambda t: t.latest.get("cost/multiply_adds_per_s"),
}
