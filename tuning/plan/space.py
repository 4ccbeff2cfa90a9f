"""A search space: each dimension a list of values or a range; a point has one value per dimension.

Points hold what a sampler works with: for a list the index of the value, for a range the number.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

DIGITS = 6  # significant digits of a drawn number: enough, and names and tables stay readable
KINDS = ("choice", "uniform", "loguniform", "randint")

Point = dict[str, float]


@dataclass(frozen=True)
class Choice:
    """One of `values`, each a plain value or a mapping that is merged into the part it names."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included; drawn evenly, or evenly in its logarithm."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def fit(self, number: float) -> float:
        """The number rounded to six digits (or to a whole one) and kept inside the range."""
        rounded = round(number) if self.whole else float(f"{number:.{DIGITS}g}")
        return type(rounded)(min(max(rounded, self.low), self.high))


Dimension = Choice | Range
Space = Mapping[str, Dimension]


def parse_dimension(key: str, value: Any) -> Dimension:
    """A dimension from a sweep file's value; raises ValueError that names the key and what is allowed."""
    if isinstance(value, list):
        value = {"choice": value}
    if not (isinstance(value, dict) and len(value) == 1 and next(iter(value)) in KINDS):
        raise ValueError(f"{key} = {value!r}: give a list of values, or one of {', '.join(KINDS)} with its list")
    kind, values = next(iter(value.items()))
    if not isinstance(values, list) or not values:
        raise ValueError(f"{key}: {kind} needs a list that is not empty, not {values!r}")
    if kind == "choice":
        if any(values[i] in values[:i] for i in range(len(values))):
            raise ValueError(f"{key} = {values!r}: the same value is listed twice")
        return Choice(tuple(values))
    low, high = _bounds(key, kind, values)
    return Range(low, high, log=kind == "loguniform", whole=kind == "randint")


def _bounds(key: str, kind: str, values: list[Any]) -> tuple[float, float]:
    try:
        # YAML 1.1 reads 1e-4 (no dot) as text, so numbers may arrive as strings.
        low, high = (float(value) for value in values)
    except (TypeError, ValueError):
        raise ValueError(f"{key}: {kind} needs two numbers [from, to], not {values!r}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{key}: {kind} {values!r} must be finite and rise from the first number to the second")
    if kind == "loguniform" and low <= 0:
        raise ValueError(f"{key}: loguniform {values!r} must stay above 0")
    if kind == "randint" and not (low.is_integer() and high.is_integer()):
        raise ValueError(f"{key}: randint needs two whole numbers, not {values!r}")
    return low, high


def size(space: Space) -> float:
    """How many points there are; infinity when a range of real numbers is among the dimensions."""
    return math.prod(
        len(d.values) if isinstance(d, Choice) else (d.high - d.low + 1 if d.whole else math.inf)
        for d in space.values()
    )


def corners(space: Space) -> Iterator[Point]:
    """Every combination of list values and ends of ranges; for a space of lists these are all points."""
    ends = [range(len(d.values)) if isinstance(d, Choice) else (d.fit(d.low), d.fit(d.high)) for d in space.values()]
    for numbers in itertools.product(*ends):
        yield dict(zip(space, numbers, strict=True))


def draw(space: Space, rng: np.random.Generator) -> Point:
    """A point at random, every dimension on its own."""
    point: Point = {}
    for key, dimension in space.items():
        if isinstance(dimension, Choice):
            point[key] = int(rng.integers(len(dimension.values)))
        elif dimension.whole:
            point[key] = dimension.fit(float(rng.integers(int(dimension.low), int(dimension.high) + 1)))
        elif dimension.log:
            point[key] = dimension.fit(math.exp(rng.uniform(math.log(dimension.low), math.log(dimension.high))))
        else:
            point[key] = dimension.fit(rng.uniform(dimension.low, dimension.high))
    return point


def values_at(space: Space, point: Point) -> dict[str, Any]:
    """What the configuration gets at a point: key → value."""
    return {key: d.values[int(point[key])] if isinstance(d, Choice) else d.fit(point[key]) for key, d in space.items()}


def point_of(space: Space, values: Mapping[str, Any]) -> Point | None:
    """The point with those values, the inverse of `values_at`; None when they are not in the space."""
    point: Point = {}
    if set(values) != set(space):
        return None
    for key, dimension in space.items():
        value = values[key]
        if isinstance(dimension, Choice):
            if value not in dimension.values:
                return None
            point[key] = dimension.values.index(value)
        elif not dimension.low <= value <= dimension.high:
            return None
        else:
            point[key] = value
    return point
