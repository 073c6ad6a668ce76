"""Intervals from leaving out one independent unit at a time."""

import math

import numpy
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from batchlab.numerics.intervals import FEWEST_VALUES, Interval


def jackknife_interval(value: float, without_one: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return `value` with its delete-one jackknife interval (Tukey 1958).

    With θ_i the statistic without unit i, of n independent units, the squared standard error is

        (n - 1)/n Σ (θ_i - mean θ)²

    and the interval is value ± t_{n-1} times it. For smooth statistics of many units; never for minima or quantiles.

    Args:
        value: the statistic of all units.
        without_one: θ_i, shape (units,).
        level: coverage of the interval.

    >>> jackknife_interval(2.0, [2.5, 2.0, 1.5])  # the mean of 1, 2 and 3: the t interval
    Interval(mean=2.0, low=-0.484..., high=4.484...)
    """
    left = numpy.asarray(without_one, dtype=float)
    n = left.size
    if n < FEWEST_VALUES or not numpy.isfinite(left).all():
        return Interval(value, None, None)
    error = math.sqrt((n - 1) / n * float(((left - left.mean()) ** 2).sum()))
    half_width = float(stdtrit(n - 1, 0.5 + level / 2)) * error
    return Interval(value, value - half_width, value + half_width)
