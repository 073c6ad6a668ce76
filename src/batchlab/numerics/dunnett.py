"""The one-sided comparison of one arm with several others at once (Dunnett 1955), by quadrature."""

import functools
import math

import numpy
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, ndtr, stdtrit

TAIL = 1e-12
HIGHEST_SQUARED_LOADING = 0.99


@functools.lru_cache(maxsize=4096)
def dunnett_point(n_arms: int, df: float, level: float = 0.95) -> float:
    """Return the one-sided Dunnett point c of `n_arms` arms with equal variances.

    c solves E_S[∫ φ(z) Φ(z + √2 c S)^(k-1) dz] = level with S² ~ χ²_df/df: k - 1 comparisons, correlation 1/2. With
    two arms it is the one-sided t point.

    Args:
        n_arms: Number of arms k, at least 2.
        df: Degrees of freedom of the common variance; may be infinite.
        level: Probability that no comparison exceeds c when all arms are equal.

    >>> round(dunnett_point(8, 28), 3)
    2.461
    """
    if n_arms < 2 or not df > 0 or not 0 < level < 1:
        raise ValueError(
            f"The Dunnett point needs `n_arms` of 2 or more, `df` above 0 and `level` in (0, 1), "
            f"got {n_arms}, {df} and {level}; with one arm or one seed nothing can be compared."
        )
    loadings = numpy.full(n_arms - 1, math.sqrt(0.5))
    # Between the point of one comparison and Bonferroni's for all of them.
    low, high = (float(stdtrit(min(df, 1e9), 1 - (1 - level) / count)) for count in (1, n_arms - 1))
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if dunnett_probability(middle, loadings, df) < level else (low, middle)
    return high


def dunnett_probability(point: float, loadings: ArrayLike, df: float) -> float:
    """Return the probability that the largest of several correlated t statistics stays below `point`.

    The statistics have correlations λ_i λ_j: P = E_S[∫ φ(z) Π_j Φ((λ_j z + point S)/√(1 - λ_j²)) dz]. An arm whose
    mean has variance v, compared with arms of variances v_j, has λ_j² = v/(v + v_j); 1/2 when all are equal. Squared
    loadings are cut off at 0.99, which errs on the side of a smaller probability.

    Args:
        point: The largest statistic observed.
        loadings: One λ a comparison, in [0, 1].
        df: Degrees of freedom of the variance the statistics share; may be infinite.
    """
    squared = numpy.minimum(numpy.square(numpy.asarray(loadings, dtype=float)), HIGHEST_SQUARED_LOADING)
    scale, scale_weights = _scale_nodes(float(df))
    z, z_weights = _normal_nodes()
    below = numpy.ones((len(scale), len(z)))
    for value, count in zip(*numpy.unique(squared, return_counts=True), strict=True):
        below *= ndtr((math.sqrt(value) * z + point * scale[:, None]) / math.sqrt(1 - value)) ** count
    return float(scale_weights @ below @ z_weights)


@functools.cache
def _normal_nodes() -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
    # The trapezoid rule converges faster than any power on analytic integrands that vanish at both ends.
    z = numpy.linspace(-8.0, 8.0, 161)
    density = numpy.exp(-0.5 * z**2)
    return z, density / density.sum()


@functools.lru_cache(maxsize=1024)
def _scale_nodes(df: float) -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
    """Return values and weights of S = √(χ²_df/df), by the trapezoid rule in log S."""
    if df > 1e6:
        return numpy.ones(1), numpy.ones(1)
    low, high = (0.5 * math.log(chdtri(df, 1 - tail) / df) for tail in (TAIL, 1 - TAIL))
    log_scale = numpy.linspace(low, high, 97)
    log_density = df * (log_scale - 0.5 * numpy.expm1(2 * log_scale))
    density = numpy.exp(log_density - log_density.max())
    return numpy.exp(log_scale), density / density.sum()
