import math
from typing import Any

import numpy as np
import pytest

from tuning.plan.space import Choice, Range, Space, corners, draw, parse_dimension, point_of, size, values_at

SPACE: Space = {
    "cohort": Choice(({"peers": 1}, {"peers": 2})),
    "rate": Range(1e-4, 1e-2, log=True),
    "share": Range(0.0, 0.5),
    "batch": Range(2, 8, whole=True),
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2], Choice((1, 2))),
        ({"choice": ["a"]}, Choice(("a",))),
        ({"uniform": [0, 0.5]}, Range(0.0, 0.5)),
        ({"loguniform": ["1e-4", "1e-3"]}, Range(1e-4, 1e-3, log=True)),  # YAML 1.1 reads 1e-4 as text
        ({"randint": [1, 4]}, Range(1.0, 4.0, whole=True)),
    ],
)
def test_dimensions(value: Any, expected: Choice | Range) -> None:
    assert parse_dimension("x", value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"x = 3: give a list of values, or one of choice, uniform"),
        ({"normal": [0, 1]}, "give a list of values"),
        ({"uniform": [0, 1], "choice": [1]}, "give a list of values"),
        ([], "x: choice needs a list that is not empty"),
        ([1, 2, 1], "the same value is listed twice"),
        ({"uniform": [1]}, r"uniform needs two numbers \[from, to\], not \[1\]"),
        ({"uniform": [0, "b"]}, "uniform needs two numbers"),
        ({"uniform": [2, 1]}, "must be finite and rise"),
        ({"uniform": [0, math.inf]}, "must be finite"),
        ({"loguniform": [0, 1]}, "must stay above 0"),
        ({"randint": [0.5, 2]}, "two whole numbers"),
    ],
)
def test_bad_dimensions_are_named(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_dimension("x", value)


def test_size() -> None:
    assert size({"a": Choice((1, 2)), "b": Choice((1, 2, 3))}) == 6
    assert size({"a": Choice((1, 2)), "b": Range(1, 4, whole=True)}) == 8
    assert size(SPACE) == math.inf
    assert size({}) == 1


def test_corners_of_lists_are_the_grid_in_order() -> None:
    space = {"a": Choice(("x", "y")), "b": Choice((1, 2))}
    assert [values_at(space, p) for p in corners(space)] == [
        {"a": "x", "b": 1},
        {"a": "x", "b": 2},
        {"a": "y", "b": 1},
        {"a": "y", "b": 2},
    ]
    assert len(list(corners(SPACE))) == 16
    assert list(corners({})) == [{}]


def test_draws_stay_inside_and_repeat() -> None:
    points = [draw(SPACE, np.random.default_rng(seed)) for seed in range(200)]
    assert points == [draw(SPACE, np.random.default_rng(seed)) for seed in range(200)]
    for point in points:
        assert 1e-4 <= point["rate"] <= 1e-2
        assert 0 <= point["share"] <= 0.5
        assert isinstance(point["batch"], int)
    assert {p["batch"] for p in points} == {2, 3, 4, 5, 6, 7, 8}
    assert {p["cohort"] for p in points} == {0, 1}
    # Evenly in the logarithm: half of them below the geometric middle, 1e-3.
    assert 70 < sum(p["rate"] < 1e-3 for p in points) < 130


def test_point_of_is_the_inverse_of_values_at() -> None:
    for seed in range(20):
        point = draw(SPACE, np.random.default_rng(seed))
        assert point_of(SPACE, values_at(SPACE, point)) == point
    values = values_at(SPACE, next(corners(SPACE)))
    assert point_of(SPACE, values | {"rate": 1.0}) is None
    assert point_of(SPACE, values | {"cohort": {"peers": 3}}) is None
    assert point_of(SPACE, {"cohort": {"peers": 1}}) is None
