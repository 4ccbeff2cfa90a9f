"""What a rate costs: trials on two scales of which less is better, and those that none beats on both."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dashboard.analysis.matched_pairs import width_value
from dashboard.tracking.records import Trial
from lipkd.errors import LipkdError

if TYPE_CHECKING:
    from lipkd.model.cost import Cost

Picture = tuple[int, int, int]
PictureOf = Callable[[Trial], Picture | None]
TIME = "training time, min"
PARAMETERS, MULTIPLY_ADDS = "cost/parameters", "cost/multiply_adds_per_s"  # what a trial says itself
NEEDED = ("network.name", "network.width", "cohort.peers", "cohort.widths", "data.crop", "data.alphabet")


def cost_rows(trials: Sequence[Trial], cost: str, picture_of: PictureOf) -> list[dict[str, Any]]:
    """A row per trial with a result and a value of one of COSTS, the cheapest first; `front` marks the Pareto front:
    trials that no other equals or beats on both scales. One that still runs is left out: it will cost more.

    `picture_of` says how large (height, width, channels) the pictures of a trial's store are, None when it is gone.
    """
    found = [(COSTS[cost](t, picture_of), t) for t in trials if t.best_wer is not None and t.state != "running"]
    points = sorted(((value, t.best_wer or 0.0, t) for value, t in found if value is not None), key=lambda p: p[:2])
    rows, lowest = [], float("inf")
    for value, wer, trial in points:
        front = wer < lowest
        lowest = min(wer, lowest)
        rows.append({"trial": trial.name, "group": trial.group, "cost": value, "WER": 100 * wer, "front": front})
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


def peer_cost(trial: Trial, picture_of: PictureOf) -> "Cost | None":
    """What one peer of a trial costs, were it deployed, where the trial has not said so itself (an older lipkd).

    None where peers differ in width, because a trial's rates are means over them, and where its parameters or its
    store do not say.
    """
    picture = picture_of(trial)
    values = tuple(trial.config.get(key, "") for key in NEEDED)
    return _network_cost(values, picture) if picture else None


@lru_cache(maxsize=1000)
def _network_cost(values: tuple[str, ...], picture: Picture) -> "Cost | None":
    # Half a second and 200 MB for torch, which only these two costs need.
    from lipkd.config.trial_config import parse_config
    from lipkd.model.cost import peer_costs

    content: dict[str, dict[str, Any]] = {"data": {"store": "unknown"}}
    try:
        for key, text in zip(NEEDED, values, strict=True):
            section, _, field = key.partition(".")
            value = text if key in ("network.name", "data.alphabet") else json.loads(text)
            content.setdefault(section, {})[field] = value
        costs = set(peer_costs(parse_config(content), picture))
    except (ValueError, LipkdError):
        return None
    return costs.pop() if len(costs) == 1 else None


def _parameters(trial: Trial, picture_of: PictureOf) -> float | None:
    if PARAMETERS in trial.latest:
        return trial.latest[PARAMETERS]
    cost = peer_cost(trial, picture_of)
    return None if cost is None else cost.parameters


def _multiply_adds(trial: Trial, picture_of: PictureOf) -> float | None:
    if MULTIPLY_ADDS in trial.latest:
        return trial.latest[MULTIPLY_ADDS]
    cost = peer_cost(trial, picture_of)
    return None if cost is None else cost.multiply_adds


COSTS: dict[str, Callable[[Trial, PictureOf], float | None]] = {
    TIME: lambda t, _: None if t.seconds is None else t.seconds / 60,
    "memory, MB": lambda t, _: t.latest.get("memory/peak_mb"),
    "width × peers": lambda t, _: width_value(t.width) * t.peers or None,
    "parameters of the deployed peer": _parameters,
    "multiply-adds per second of video": _multiply_adds,
}
