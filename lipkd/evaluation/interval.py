"""The confidence interval of a difference between two methods: seeds × units, where a unit is a speaker or a clip.

    u[s, k]  = (edits of A - edits of B in seed s and unit k) - share of unit k in the words · mean difference
    V_seeds  = Σ_s (Σ_k u)² / S(S-1)             other seeds, the same units
    V_units  = c · Σ_k (mean_s u)²               other units, the same seeds
    V        = V_seeds + V_units - V_both, and not less than the larger of the two
    interval = mean ± √V · (V_seeds · t(S-1) + V_units · t(ν)) / (V_seeds + V_units)

Units are speakers where the question is how a method reads other speakers, and clips where it is the same speakers.
The variance is that of two crossed random factors (Clark 1973; Cameron, Gelbach & Miller 2011). The quantile is
Cochran's for a sum of two estimated variances (1964), each with its own degrees of freedom. c and ν allow for
units of unequal length (Bell & McCaffrey 2002, for a mean); with equal ones they are K/(K-1) and K-1.

Resampling keeps its level with none of these sizes: drawing three seeds with replacement makes their variance a third
too small, and three seeds have only eight sign flips. `python -m tests.simulation.interval` measures the level and the
power; docs/results.md has the table.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Variances:
    """What the variance of a mean difference consists of, each of shape (...) like the mean.

    `seeds`, `units`: what other seeds and other units would change; `both`: what is in either of them, the part of
    single seeds in single units. `seed_df`, `unit_df`: degrees of freedom; `concentration`: the sum of the squared
    shares of the units, 1/K for K equal ones.
    """

    mean: Floats
    seeds: Floats
    units: Floats
    both: Floats
    seed_df: float
    unit_df: float
    concentration: float

    def standard_error(self) -> Floats:
        return np.sqrt(np.maximum(self.seeds + self.units - self.both, np.maximum(self.seeds, self.units)))

    def half_width(self, level: float) -> Floats:
        """Half of the interval's width."""
        return self.standard_error() * self.quantile((1 + level) / 2)

    def quantile(self, probability: float) -> Floats:
        """The quantile of the difference in standard errors: that of either factor, weighed by its variance."""
        from scipy.special import stdtrit  # only comparisons need scipy, and it takes a moment

        seeds, units = (float(stdtrit(df, probability)) for df in (self.seed_df, self.unit_df))
        total = self.seeds + self.units
        share = np.divide(self.seeds, total, out=np.zeros_like(total), where=total > 0)
        return share * seeds + (1 - share) * units


def variances(edits: Floats, lengths: Floats, units: NDArray[np.int64]) -> Variances:
    """The mean difference as a rate, and its variances; works on many comparisons at once.

    edits (..., S, C): edits of A minus edits of B for each seed and clip; lengths (C,): words or characters of the
    clips' references; units (C,): the index of the unit, from 0, to which a clip belongs. Raises ValueError with fewer
    than two seeds or two units: then there is nothing to tell a variance from.
    """
    n_seeds, n_clips = edits.shape[-2:]
    n_units = int(units.max()) + 1
    if n_seeds < 2 or n_units < 2:
        raise ValueError(f"{n_seeds} seeds and {n_units} units: at least two of each are needed")
    member = np.zeros((n_clips, n_units))
    member[np.arange(n_clips), units] = 1
    shares = lengths @ member / lengths.sum()  # (K,)
    by_unit = edits @ member / lengths.sum()  # (..., S, K)
    mean = by_unit.sum(-1).mean(-1)
    u = by_unit - mean[..., None, None] * shares
    of_seed, of_unit = u.sum(-1), u.mean(-2)
    rest = u - of_seed[..., None] * shares - of_unit[..., None, :]
    correction, unit_df, concentration = _unequal_units(shares)
    pairs = n_seeds * (n_seeds - 1)
    return Variances(
        mean=mean,
        seeds=(of_seed**2).sum(-1) / pairs,
        units=correction * (of_unit**2).sum(-1),
        both=correction * (rest**2).sum((-2, -1)) / pairs,
        seed_df=n_seeds - 1,
        unit_df=unit_df,
        concentration=concentration,
    )


def _unequal_units(shares: Floats) -> tuple[float, float, float]:
    """c, ν and the concentration q for units with these shares of the words, w.

    The estimate Σ w²(d - mean)² is a quadratic form of the units' differences d. For d that are independent with one
    variance, the trace of its matrix gives the bias, and trace² over the trace of the square the degrees of freedom:
    entry i, j is w_i w_j ([i = j] - w_i - w_j + q), where q = Σ w².
    """
    q, third, fourth = (float((shares**power).sum()) for power in (2, 3, 4))
    trace = q - 2 * third + q * q
    of_square = q**4 + 2 * fourth * q - 4 * q * q * third + 2 * third**2
    of_square += float((shares**4 * (1 + 2 * (q - 2 * shares))).sum())
    return q / trace, trace**2 / of_square, q
