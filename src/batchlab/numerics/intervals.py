"""Intervals of means over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from scipy.special import stdtrit

FEWEST_VALUES = 3


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its two-sided interval; the limits are None with fewer than 3 values."""

    mean: float
    low: float | None
    high: float | None


def t_interval(
    values: Sequence[float],
    *,
    level: float = 0.95,
    extra_variance: float = 0.0,
    extra_df: float = math.inf,
) -> Interval:
    """Return the mean of `values` with its t interval.

    The variance of the mean is v + u with v = s²/n and u = `extra_variance`. Percentile bootstraps of so few values
    undercover (.83 against .95 at n = 5), hence t. Degrees of freedom are Satterthwaite's (1946),

        (v + u)² / (v²/(n - 1) + u²/extra_df),

    so that a large `extra_variance` known without error brings the quantile down to the normal one.

    Args:
        values: One finite value a seed.
        level: Coverage of the interval.
        extra_variance: Variance of the *mean* through something all seeds share and their scatter cannot show, such
            as the noise of choosing the learning rate; in squared units of `values`.
        extra_df: Degrees of freedom with which `extra_variance` was estimated.

    >>> t_interval([1.0, 2.0, 3.0])
    Interval(mean=2.0, low=-0.484..., high=4.484...)
    >>> t_interval([1.0, 2.0])
    Interval(mean=1.5, low=None, high=None)
    """
    _check(values, level, extra_variance)
    n = len(values)
    mean = float(numpy.mean(values))
    if n < FEWEST_VALUES:
        return Interval(mean, None, None)
    scatter = float(numpy.var(values, ddof=1)) / n
    variance = scatter + extra_variance
    if variance == 0:
        return Interval(mean, mean, mean)
    df = satterthwaite_df((scatter, extra_variance), (n - 1, extra_df))
    half_width = float(stdtrit(df, 0.5 + level / 2)) * math.sqrt(variance)
    return Interval(mean, mean - half_width, mean + half_width)


def satterthwaite_df(variances: Sequence[float], dfs: Sequence[float]) -> float:
    """Return the degrees of freedom of a sum of independent variance estimates, (Σ v)² / Σ v²/df; at most 1e9.

    >>> satterthwaite_df((1.0, 1.0), (4, 4))
    8.0
    """
    error = sum(variance**2 / df for variance, df in zip(variances, dfs, strict=True))
    total = sum(variances)
    return min(total**2 / error, 1e9) if error > 0 else 1e9


def _check(values: Sequence[float], level: float, extra_variance: float) -> None:
    if len(values) == 0 or not numpy.isfinite(values).all():
        raise ValueError(
            f"`values` must be one or more finite numbers, got {list(values)}; leave out the seeds that diverged."
        )
    if not 0 < level < 1:
        raise ValueError(f"`level` must lie between 0 and 1, got {level}; use 0.95 for a 95 % interval.")
    if not 0 <= extra_variance < math.inf:
        raise ValueError(
            f"`extra_variance` must be finite and not negative, got {extra_variance}; use 0.0 where there is none."
        )
