"""The best value of a trial, its cost, and the Pareto front of a sweep."""

import math
from collections.abc import Iterable, Mapping
from statistics import median

from lipkd.trial import Report


def best_value(reports: Iterable[Report], metric: str, mode: str) -> float | None:
    """The best finite value of a metric; None when there is none."""
    values = _finite(reports, metric)
    return (min(values) if mode == "min" else max(values)) if values else None


def usual_value(reports: Iterable[Report], metric: str) -> float | None:
    """The median over the epochs, which the first epoch's start and a busy moment do not move; None without any."""
    values = _finite(reports, metric)
    return median(values) if values else None


def _finite(reports: Iterable[Report], metric: str) -> list[float]:
    return [v for r in reports if math.isfinite(v := r.metrics.get(metric, math.nan))]


def trade_offs(values: Mapping[str, tuple[float, float]], mode: str) -> list[str]:
    """Names of those that no other beats in one value without being worse in the other, the cheapest first.

    The first value is to be low or high (`mode`), the second, the cost, low.
    """
    sign = 1 if mode == "min" else -1
    front: list[str] = []
    best = math.inf
    for name, (value, _) in sorted(values.items(), key=lambda item: (item[1][1], sign * item[1][0], item[0])):
        if sign * value < best:
            best = sign * value
            front.append(name)
    return front
