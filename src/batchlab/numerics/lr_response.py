"""The learning rate at which a metric is best, from a sweep; how sure, and what its noise does to a comparison.

Learning rates are on a log2 axis throughout, so distances are octaves.
"""

import math
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from batchlab.numerics.local_quadratic import (
    WINDOW_OCTAVES,
    LocalQuadratic,
    fit_local_quadratic,
    points_near,
)

Array = NDArray[numpy.float64]

# A metric beyond this has diverged, though it is finite: its square is not.
DIVERGED = 1e100


@dataclass(frozen=True, slots=True)
class LrResponse:
    """The best learning rate with its interval, within the range tried.

    `curvature` is d²metric/d(log2 lr)² at the optimum, in the direction in which lower is better (NaN with fewer than
    3 points). `log2_variance` is the sampling variance of log2(`best`), in squared octaves. `at_edge`: the best rate is
    the first or the last tried and nothing diverged beyond it, so the optimum may lie outside. `n_points` is the
    number of rates used.

    Flags: `not_convex` (the best rate tried, since no curve with an optimum near it fits), `noise_unknown` (too few
    points to see the noise: the variance is that of not knowing where in the window the optimum is),
    `some_diverged`, `all_diverged` (nothing is known: `best` and the limits are NaN).
    """

    best: float
    low: float
    high: float
    curvature: float
    at_edge: bool
    log2_variance: float
    n_points: int
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalResponse:
    """Slope and curvature of a metric at one learning rate: per octave and per squared octave, in its own direction."""

    slope: float
    curvature: float


def fit_lr_response(
    learning_rates: ArrayLike, metric: ArrayLike, *, higher_is_better: bool = False, level: float = 0.95
) -> LrResponse:
    """Return the learning rate at the optimum of a local quadratic in log2(lr), with its interval.

    The curve goes through the points within 2 octaves of the best, weights falling with the excess over the best
    (`closeness_weights`). Its vertex is x = -b/2a for a x² + b x + c; by the delta method, with the noise variance v of
    a point, Var(x) = v Σ_i ((l_bi + 2 x l_ai)/2a)², l the coefficients of a and b in the points. Picking the best
    grid point instead is 2 to 4 times as noisy.

    Where the curve is not convex, or its vertex lies outside window or range: the best rate tried, with the variance
    of the distribution in which each rate of the window counts by the probability that it is as good, plus
    spacing²/12. No variance exceeds that of not knowing where in the window the optimum is, width²/12.

    Args:
        learning_rates: shape (n,), positive, in any order.
        metric: shape (n,) or (n, seeds), the same seeds at each rate; NaN or infinite where training diverged.
            A rate at which any seed diverged is no candidate.
        higher_is_better: direction of the metric.
        level: coverage of the interval (t), which is cut off at the range tried.

    >>> round(fit_lr_response([0.05, 0.1, 0.2, 0.4], [1.0, 0.0, 1.0, 4.0]).best, 6)
    0.1
    """
    rates, table = _sweep(learning_rates, metric)
    table = -table if higher_is_better else table
    finite = numpy.atleast_1d(numpy.isfinite(table).all(axis=1))
    if not finite.any():
        return LrResponse(math.nan, math.nan, math.nan, math.nan, False, math.nan, 0, ("all_diverged",))
    x, means = numpy.log2(rates[finite]), table[finite].mean(axis=1)
    best = _middle_of_lowest(means)
    near = points_near(x, float(x[best]))
    curve = _curve(x[near], table[finite][near], float(x[best]), means[near] - means[best])
    vertex = _vertex(curve, x)
    place = float(x[best]) if vertex is None else vertex
    variance = _variance(curve, vertex, means[near] - means[best], _span(x, best, near))
    df = curve.df if curve is not None and curve.df else math.inf
    reach = float(stdtrit(df, 0.5 + level / 2)) * math.sqrt(variance)
    lowest, highest = float(rates[finite][0]), float(rates[finite][-1])
    return LrResponse(
        best=min(max(2.0**place, lowest), highest),
        low=min(max(2.0 ** (place - reach), lowest), highest),
        high=min(max(2.0 ** (place + reach), lowest), highest),
        curvature=curve.curvature if curve is not None else math.nan,
        at_edge=bool((best == 0 and finite[0]) or (best == len(x) - 1 and finite[-1])),
        log2_variance=variance,
        n_points=int(near.sum()),
        flags=_flags(curve, vertex, bool(finite.all())),
    )


def smooth_optima(
    log2_batch_sizes: ArrayLike, log2_optima: ArrayLike, variances: ArrayLike, *, window: float = 1.5
) -> tuple[Array, Array]:
    """Return the optima smoothed across batch sizes, and the sampling variances of the smoothed values.

    At each size a line in log2(B) by weighted least squares; weights exp(-(Δ/(window h))²/2)/(V_j + median V), Δ the
    distance and h the median step of the grid. The median in the denominator is the floor: no optimum counts more than
    twice the typical one, however sure it looks. The smoothed values are Σ_j l_ij x_j, so their variances are
    Σ_j l_ij² V_j; neighbors share their errors, and a bend of the true line within the window is not in them. One or
    two sizes stay as they are.

    Args:
        log2_batch_sizes: shape (sizes,), in any order.
        log2_optima: shape (sizes,), `log2(best)` of each size's fit.
        variances: shape (sizes,), their `log2_variance`, in squared octaves.
        window: standard deviation of the Gaussian weights, in steps of the grid.

    >>> smoothed, _ = smooth_optima([3, 4, 5], [0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
    >>> [f"{value:.2f}" for value in abs(smoothed)]
    ['0.00', '1.00', '2.00']
    """
    sizes, optima = numpy.asarray(log2_batch_sizes, dtype=float), numpy.asarray(log2_optima, dtype=float)
    errors = numpy.asarray(variances, dtype=float)
    if not sizes.shape == optima.shape == errors.shape or sizes.ndim != 1:
        raise ValueError(
            f"The three arguments must be one-dimensional and of one length, got shapes {sizes.shape}, {optima.shape} "
            f"and {errors.shape}; pass one entry a batch size."
        )
    steps = numpy.diff(numpy.unique(sizes))
    if len(steps) < 2:
        return optima.copy(), errors.copy()
    reach = window * float(numpy.median(steps))
    precision = 1 / (errors + numpy.median(errors)) if numpy.median(errors) > 0 else numpy.ones_like(errors)
    loads = numpy.stack([_line_loads(sizes - size, reach, precision) for size in sizes])
    return loads @ optima, loads**2 @ errors


def response_at(learning_rates: ArrayLike, metric: ArrayLike, at: float) -> LocalResponse:
    """Return slope and curvature of a metric's response at the learning rate `at`, by the same local quadratic.

    Centered at `at`; weights fall with the distance of the metric from its value at the nearest rate, so the metric's
    direction does not matter. With two rates in the window a line is drawn; with fewer nothing can be said and both
    are 0: the search was then too short, which `LrResponse.at_edge` or `n_points` tell.

    Args:
        learning_rates, metric: as in `fit_lr_response`, also for another metric than the one tuned on.
        at: a learning rate.
    """
    rates, table = _sweep(learning_rates, metric)
    x = numpy.log2(rates)
    center = math.log2(at)
    near = points_near(x, center) & numpy.isfinite(table).all(axis=1)
    if near.sum() < 2:
        return LocalResponse(0.0, 0.0)
    means = table[near].mean(axis=1)
    if near.sum() == 2:
        return LocalResponse(float((means[1] - means[0]) / (x[near][1] - x[near][0])), 0.0)
    nearest = int(numpy.abs(x[near] - center).argmin())
    curve = fit_local_quadratic(x[near], table[near], center, numpy.abs(means - means[nearest]))
    return LocalResponse(curve.slope, curve.curvature)


def tuning_variance(slope: float, curvature: float, log2_variance: float) -> float:
    """Return the variance that the noise of the learning rate adds to an arm's mean metric.

    With e ~ N(0, V) the error of log2(lr), the metric is off by s e + c e²/2. Its variance is s² V + (c²/4) Var(e²),
    as Cov(e, e²) = 0, and Var(e²) = 2V²:

        s² V + c² V²/2.

    All seeds of the arm train at that learning rate, so this is a variance of their *mean* and no scatter shows it.

    Args:
        slope, curvature: per octave and per squared octave, as from `response_at`.
        log2_variance: V, in squared octaves.

    >>> tuning_variance(0.0, 2.0, 0.5)
    0.5
    """
    return slope**2 * log2_variance + 0.5 * curvature**2 * log2_variance**2


def _sweep(learning_rates: ArrayLike, metric: ArrayLike) -> tuple[Array, Array]:
    """Return the rates in rising order and the metric as (rates, seeds)."""
    rates, table = numpy.asarray(learning_rates, dtype=float), numpy.asarray(metric, dtype=float)
    if rates.ndim != 1 or table.ndim not in (1, 2) or len(table) != len(rates) or table.size == 0:
        raise ValueError(
            "`metric` must have shape (n,) or (n, seeds) for n learning rates, "
            f"got {table.shape} for learning rates of shape {rates.shape}; pass one row a learning rate."
        )
    if not (numpy.isfinite(rates) & (rates > 0)).all() or len(numpy.unique(rates)) < len(rates):
        raise ValueError(
            f"Learning rates must be positive and different, got {rates.tolist()}; "
            "pass repetitions of one rate as columns of `metric`."
        )
    order = numpy.argsort(rates)
    table = numpy.where(numpy.abs(table) > DIVERGED, numpy.inf, table)
    return rates[order], table.reshape(len(rates), -1)[order]


def _middle_of_lowest(means: Array) -> int:
    lowest = numpy.flatnonzero(means == means.min())
    return int(lowest[len(lowest) // 2])


def _curve(x: Array, values: Array, center: float, excess: Array) -> LocalQuadratic | None:
    return fit_local_quadratic(x, values, center, excess) if len(x) > 2 else None


def _vertex(curve: LocalQuadratic | None, x: Array) -> float | None:
    """Return the place of the curve's minimum, or None where it has none within window and range."""
    if curve is None or curve.curvature <= 0:
        return None
    octaves = -curve.slope / curve.curvature
    inside = abs(octaves) <= WINDOW_OCTAVES and x[0] <= curve.center + octaves <= x[-1]
    return curve.center + octaves if inside else None


def _span(x: Array, best: int, near: NDArray[numpy.bool_]) -> float:
    """Return the width of the window, or to the neighbors of the best rate where the grid is wider than that."""
    neighbors = float(x[min(best + 1, len(x) - 1)] - x[max(best - 1, 0)])
    return max(float(numpy.ptp(x[near])), neighbors) or 2 * WINDOW_OCTAVES


def _variance(curve: LocalQuadratic | None, vertex: float | None, excess: Array, span: float) -> float:
    ignorance = span**2 / 12
    if curve is None or not curve.df:
        return ignorance
    if vertex is not None:
        with numpy.errstate(over="ignore", invalid="ignore"):
            gradient = (curve.loads[1] + 2 * (vertex - curve.center) * curve.loads[2]) / curve.curvature
            variance = curve.noise * float(gradient @ gradient)
        return min(variance, ignorance) if math.isfinite(variance) else ignorance
    with numpy.errstate(over="ignore"):
        as_good = ndtr(-excess / math.sqrt(2 * curve.noise)) if curve.noise > 0 else (excess == 0).astype(float)
    spread = float((as_good * curve.octaves**2).sum() / as_good.sum())
    return spread + float(numpy.median(numpy.diff(curve.octaves))) ** 2 / 12


def _flags(curve: LocalQuadratic | None, vertex: float | None, all_finite: bool) -> tuple[str, ...]:
    found = {
        "not_convex": vertex is None,
        "noise_unknown": curve is None or not curve.df,
        "some_diverged": not all_finite,
    }
    return tuple(flag for flag, holds in found.items() if holds)


def _line_loads(distances: Array, reach: float, precision: Array) -> Array:
    """Return the coefficients, in the points, of a weighted line's value at distance 0."""
    root = numpy.sqrt(numpy.exp(-0.5 * (distances / reach) ** 2) * precision)
    design = numpy.stack([numpy.ones_like(distances), distances], axis=1)
    return numpy.asarray((numpy.linalg.pinv(design * root[:, None]) * root)[0])
