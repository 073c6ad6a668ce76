"""The geometric mean of counts over seeds, some of which are only known to be larger than they were seen."""

import math
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray
from scipy.special import fdtri, log_ndtr

from batchlab.analyze.findings import Estimate
from batchlab.numerics.intervals import FEWEST_VALUES, t_interval
from batchlab.numerics.profile_likelihood import profile_limits, trace_profile

Array = NDArray[numpy.float64]

SDS = numpy.geomspace(1e-3, 10.0, 240)
# How far beyond what was seen the mean is looked for, in ln.
REACH = 4.0


def geometric_estimate(reached: Sequence[float], beyond: Sequence[float] = (), level: float = 0.95) -> Estimate:
    """Return the geometric mean with its interval, which is symmetric on a log scale.

    Where every value is known this is the t interval of the logarithms. A value known only to lie beyond a limit counts
    with the probability of that, under normal noise in the logarithm: the mean, then the median of that distribution,
    is the one of maximum likelihood, and its interval the set of m with

        (e^(2ΔL/n) - 1)(n - 1) <= F_{1,n-1}(level),

    n the values that are known: exactly the t interval where all are. Leaving such values out would make the mean too
    small. With fewer than 3 known values there is no interval.

    Args:
        reached: the known values, above 0; at least one.
        beyond: the limits that the others exceeded.
        level: coverage of the interval.

    >>> round(geometric_estimate([100.0, 200.0, 400.0]).mean, 3)
    200.0
    """
    known, limits = numpy.log(numpy.asarray(reached, dtype=float)), numpy.log(numpy.asarray(beyond, dtype=float))
    if not len(limits):
        interval = t_interval(known.tolist(), level=level)
        bounds = (None if limit is None else math.exp(limit) for limit in (interval.low, interval.high))
        return Estimate(math.exp(interval.mean), *bounds)

    def log_likelihood(means: Array) -> Array:
        return _profile(means, known, limits)

    everything = numpy.concatenate([known, limits])
    profile = trace_profile(log_likelihood, float(everything.min()) - 1.0, float(everything.max()) + REACH)
    n = len(known)
    if n < FEWEST_VALUES:
        return Estimate(math.exp(profile.best), None, None)
    drop = n * math.log1p(float(fdtri(1, n - 1, level)) / (n - 1)) / 2
    low, high = profile_limits(log_likelihood, profile, drop)
    return Estimate(math.exp(profile.best), math.exp(low), math.exp(high))


def _profile(means: Array, known: Array, limits: Array) -> Array:
    """Return the log-likelihood at each mean, maximized over the standard deviation."""
    inside = -((known - means[:, None]) ** 2).sum(axis=1)[:, None] / (2 * SDS**2) - len(known) * numpy.log(SDS)
    outside = log_ndtr((means[:, None, None] - limits[:, None]) / SDS).sum(axis=1)
    return numpy.asarray((inside + outside).max(axis=1))
