"""How far the gradients of single examples help or hinder one another.

Most names for it are the noise scale again: the mean dot product of two different examples is the unbiased |G|², and
gradient diversity times n is 1 + B_simple. What is new is in the pairs: how many disagree, and by how much.
Per-example gradients must exist, so no batch normalization in training mode.
"""

import math
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike, NDArray

from batchlab.numerics.intervals import Interval
from batchlab.numerics.jackknife import jackknife_interval

Array = NDArray[numpy.float64]


@dataclass(frozen=True, slots=True)
class Interference:
    """Statistics over pairs of different examples, with delete-one jackknife intervals over the examples.

    `dot` is the mean g_i·g_j (unbiased |G|² over all pairs), `cosine` the mean cosine, `weighted_cosine` the mean
    weighted with |g_i||g_j| (examples already fitted have tiny gradients of any direction and would dominate the plain
    mean), `sign` the mean sign (stiffness), from -1 to 1. `lowest_dot` is gradient confusion's -ζ; it and `low_dot`,
    the quantile `low_quantile`, depend on the number of pairs and have no interval, so compare them at equal `n_pairs`
    only. Where an interval cannot be given its limits are None; a mean over no pairs is NaN.
    """

    n: int
    n_pairs: int
    level: float
    dot: Interval
    cosine: Interval
    weighted_cosine: Interval
    sign: Interval
    lowest_dot: float
    low_dot: float
    low_quantile: float


def pairwise_interference(
    gram: ArrayLike, *, among: ArrayLike | None = None, level: float = 0.95, low_quantile: float = 0.05
) -> Interference:
    """Return the statistics of all pairs i ≠ j from the Gram matrix of per-example gradients.

    Pairs share examples, so they are not independent and the jackknife leaves out an example with all its pairs. Its
    intervals are about right where the mean is not 0 and too wide where it is (the statistic is then degenerate, its
    variance up to twice overstated). Cosines of an example without gradient count as 0.

    Args:
        gram: g_i·g_j, shape (n, n), symmetric; 64 to 512 examples.
        among: which pairs count, symmetric booleans of shape (n, n), e.g. `labels[:, None] == labels` for pairs of one
            class; all by default. The diagonal never counts.
        level: coverage of the intervals.
        low_quantile: of `low_dot`, Hyndman and Fan's type 7.

    Raises:
        ValueError: The matrix is not a finite symmetric one of two or more examples.

    >>> found = pairwise_interference([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.5, 0.5, 1.0]])
    >>> f"{found.dot.mean:.3f} {found.cosine.mean:.3f} {found.sign.mean:.3f} {found.lowest_dot}"
    '0.333 0.333 0.667 0.0'
    """
    dots = numpy.asarray(gram, dtype=float)
    _check(dots)
    counted = _counted(among, len(dots))
    norms = numpy.sqrt(numpy.diag(dots))
    products = numpy.outer(norms, norms)
    cosines = numpy.divide(dots, products, out=numpy.zeros_like(dots), where=products > 0)
    ones = numpy.ones_like(dots)
    pairs = dots[numpy.triu(counted)]
    return Interference(
        n=len(dots),
        n_pairs=pairs.size,
        level=level,
        dot=_pair_mean(dots, ones, counted, level),
        cosine=_pair_mean(cosines, ones, counted, level),
        weighted_cosine=_pair_mean(dots, products, counted, level),
        sign=_pair_mean(numpy.sign(dots), ones, counted, level),
        lowest_dot=float(pairs.min()) if pairs.size else math.nan,
        low_dot=float(numpy.quantile(pairs, low_quantile)) if pairs.size else math.nan,
        low_quantile=low_quantile,
    )


def gradient_diversity(sq_norms: ArrayLike, sum_sq_norm: float) -> float:
    """Return the plain Δ = Σ|g_i|²/|Σ g_i|² of n examples (Yin et al. 2018); infinite where the sum is 0.

    n Δ is their bound on the batch size and equals 1 + B_simple of these n examples as a whole population. As an
    estimate for more data it is biased low, since |Σ g_i|² contains noise: use `diversity_batch_size`.

    Args:
        sq_norms: |g_i|², shape (n,).
        sum_sq_norm: |Σ g_i|².

    >>> gradient_diversity([1.0, 1.0, 1.0, 1.0], 4.0)
    1.0
    """
    total = float(numpy.asarray(sq_norms, dtype=float).sum())
    return total / sum_sq_norm if sum_sq_norm > 0 else math.inf


def diversity_batch_size(trace: float, signal: float) -> float | None:
    """Return n Δ = (trace + signal)/signal = 1 + B_simple from unbiased moments; None where the signal is not above 0.

    Args:
        trace, signal: *means* over blocks of the results of `noise_moments`, in one unit.

    >>> diversity_batch_size(63.0, 1.0)
    64.0
    """
    return (trace + signal) / signal if signal > 0 else None


def gradient_snr(mean: ArrayLike, variance: ArrayLike, n: int) -> Array:
    """Return mean²/variance of each parameter's gradient over examples, without the bias of the plain ratio.

    With n examples, variance s² with divisor n - 1, and R = mean²/s²,

        (n - 3)/(n - 1) R - 1/n

    is unbiased for Gaussian gradients; R itself averages (n - 1)/(n (n - 3)) where there is no signal. Single values
    may be negative and are averaged as they are; NaN where a parameter's gradient never varied.

    Args:
        mean, variance: over the examples, one entry a parameter, of any shape.
        n: number of examples, at least 4.

    >>> gradient_snr([1.0, 0.0], [2.0, 2.0], n=5)
    array([ 0.05, -0.2 ])
    """
    if n < 4:
        raise ValueError(f"`n` must be at least 4 examples, got {n}; the correction does not exist below.")
    means, variances = numpy.asarray(mean, dtype=float), numpy.asarray(variance, dtype=float)
    plain = numpy.divide(means**2, variances, out=numpy.full(means.shape, math.nan), where=variances > 0)
    return numpy.asarray((n - 3) / (n - 1) * plain - 1 / n)


def _pair_mean(values: Array, weights: Array, counted: NDArray[numpy.bool_], level: float) -> Interval:
    """Return Σ values/Σ weights over the counted pairs, with its jackknife over examples."""
    value_rows = numpy.where(counted, values, 0.0).sum(axis=1)
    weight_rows = numpy.where(counted, weights, 0.0).sum(axis=1)
    total, weight = float(value_rows.sum()), float(weight_rows.sum())
    if weight <= 0:
        return Interval(math.nan, None, None)
    # Example i takes its row and its column of the symmetric matrices with it.
    left = weight - 2 * weight_rows
    kept = left > 1e-12 * weight
    without_one = numpy.divide(total - 2 * value_rows, left, out=numpy.full_like(left, math.nan), where=kept)
    return jackknife_interval(total / weight, without_one, level=level)


def _counted(among: ArrayLike | None, n: int) -> NDArray[numpy.bool_]:
    counted = numpy.ones((n, n), dtype=bool) if among is None else numpy.array(among, dtype=bool)
    if counted.shape != (n, n) or (counted != counted.T).any():
        raise ValueError(
            f"`among` must be a symmetric matrix of shape {(n, n)} as the Gram matrix is, got shape {counted.shape}; "
            "build it as `labels[:, None] == labels`."
        )
    numpy.fill_diagonal(counted, False)
    return counted


def _check(dots: Array) -> None:
    if dots.ndim != 2 or dots.shape[0] != dots.shape[1] or len(dots) < 2:
        raise ValueError(
            f"`gram` must be a square matrix of two or more examples, got shape {dots.shape}; "
            "pass `gradients @ gradients.T`."
        )
    scale = float(numpy.abs(dots).max())
    if not math.isfinite(scale) or numpy.abs(dots - dots.T).max() > 1e-6 * scale or numpy.diag(dots).min() < 0:
        raise ValueError(
            "`gram` must be finite and symmetric with squared norms on its diagonal, and is not; "
            "pass `gradients @ gradients.T` of finite gradients."
        )
