"""The interval of a difference: by hand, and how often it is wrong in a miniature of the simulation."""

import math

import numpy as np
import pytest

from lipkd.evaluation.interval import variances
from tests.simulation.interval import GRID, ITALIAN, calibrate, power, wrong_calls


def test_variances_by_hand() -> None:
    """Two seeds, two units of one word each: 1 and 0 edits more, then 3 and 0. Mean (1 + 3) / 2 / 2 words = 1. In
    shares of two words u = (0, -½), (1, -½). Seeds: sums -½ and ½, so (¼ + ¼) / 2 = ¼. Units: means ½ and -½, so
    2 · (¼ + ¼) = 1. Both: what is left is ±¼ four times, so 2 · ¼ / 2 = ¼. Together 1, and t with one degree of freedom
    is 12.706."""
    found = variances(np.array([[1.0, 0.0], [3.0, 0.0]]), np.ones(2), np.arange(2))
    assert [found.mean, found.seeds, found.units, found.both] == pytest.approx([1, 1 / 4, 1, 1 / 4])
    assert [found.seed_df, found.unit_df] == pytest.approx([1, 1])
    assert found.half_width(0.95) == pytest.approx(12.706, abs=1e-3)


def test_seeds_alone_give_students_t() -> None:
    """All clips move with their seed: 1, 2, 3 edits of 4, mean 1/2, deviation 1/4, and 4.303 · 1/4 / √3."""
    edits = np.array([[1.0] * 6, [2.0] * 6, [3.0] * 6])
    found = variances(edits, np.full(6, 4.0), np.arange(6))
    assert found.half_width(0.95) == pytest.approx(4.3027 / 4 / math.sqrt(3), abs=1e-4)


def test_clips_of_one_speaker_are_one_unit() -> None:
    """Seeds that agree, and clips that agree within each of two speakers: as if each speaker were a clip."""
    edits = np.tile(np.repeat([1.0, 0.0], 3), (2, 1))
    by_speaker = variances(edits, np.ones(6), np.repeat([0, 1], 3))
    assert by_speaker.units == variances(edits[:, ::3], np.ones(2), np.arange(2)).units
    assert by_speaker.units > variances(edits, np.ones(6), np.arange(6)).units


def test_unequal_units_count_for_fewer() -> None:
    """The estimate and its degrees of freedom, against the matrix of the quadratic form written out."""
    lengths = np.array([40.0, 25.0, 15.0, 10.0, 5.0])
    found = variances(np.ones((2, 5)), lengths, np.arange(5))
    w = lengths / lengths.sum()
    q = (w**2).sum()
    matrix = np.outer(w, w) * (np.eye(5) - w[:, None] - w + q)
    assert found.unit_df == pytest.approx(np.trace(matrix) ** 2 / np.trace(matrix @ matrix))
    assert found.unit_df < 4 and found.concentration == pytest.approx(q)


def test_many_comparisons_at_once_are_those_one_by_one() -> None:
    edits = np.random.default_rng(0).integers(-2, 3, (4, 3, 10)).astype(float)
    lengths, units = np.arange(1.0, 11.0), np.repeat([0, 1], 5)
    at_once = variances(edits, lengths, units).half_width(0.95)
    assert at_once == pytest.approx([float(variances(one, lengths, units).half_width(0.95)) for one in edits])


@pytest.mark.parametrize("shape", [(1, 4), (3, 1)])
def test_one_seed_or_one_unit_has_no_interval(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least two of each"):
        variances(np.zeros(shape), np.ones(shape[1]), np.arange(shape[1]))


def test_the_level_is_kept_and_a_difference_is_seen() -> None:
    """400 draws each: 5 % promised, standard error 1.1 %; the old bootstrap is wrong more often with few seeds."""
    rng = np.random.default_rng(0)
    italian, grid = calibrate(ITALIAN, 200), calibrate(GRID, 200)
    for model, seeds in ((italian, 3), (italian, 10), (grid, 3)):
        assert wrong_calls(model, seeds, 400, rng)[1] <= 6
    before, after = wrong_calls(italian, 1, 400, rng)
    assert before > 15 and after == 0
    assert power(grid, 3, 10, 200, rng) > 80
