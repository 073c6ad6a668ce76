"""The weighted quadratic through the learning rates near one of them, with the noise it leaves."""

import math
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]

WINDOW_OCTAVES = 2.0
# Excess, in units of the typical one, beyond which a point is on the wall toward divergence and no longer counts.
WALL = 8.0
# Below this share of the weight, no point besides those the curve goes through counts.
LEAST_SHARE = 1e-9


@dataclass(frozen=True, slots=True)
class LocalQuadratic:
    """The curve level + slope u + curvature u²/2, u in octaves from `center`.

    `loads` (3, points) are the coefficients of level, slope and curvature/2 in the points' means. `noise` is the
    variance of such a mean, with `df` degrees of freedom (NaN and 0 where nothing shows it). `octaves` are the points'
    places, from `center`.
    """

    center: float
    octaves: Array
    level: float
    slope: float
    curvature: float
    loads: Array
    noise: float
    df: int


def points_near(log2_rates: Array, center: float) -> NDArray[numpy.bool_]:
    """Return which points lie within 2 octaves of `center`."""
    return numpy.abs(log2_rates - center) <= WINDOW_OCTAVES + 1e-6


def closeness_weights(excess: Array) -> Array:
    """Return weights that fall with the excess over the best: 1/((1 + r)(1 + (r/8)²)), r = excess / median excess.

    The first factor keeps the influence of far points bounded, the second lets that of the wall vanish (a loss of 1e6
    at one rate moves nothing). On the response of `benchmarks/tuning_noise.py` these gave the steadiest optima of
    the weights tried.
    """
    scale = float(numpy.median(excess)) or float(excess.mean())
    if scale == 0:
        return numpy.ones_like(excess)
    with numpy.errstate(over="ignore"):
        ratio = excess / scale
        return numpy.asarray(1 / ((1 + ratio) * (1 + (ratio / WALL) ** 2)))


def fit_local_quadratic(log2_rates: Array, table: Array, center: float, excess: Array) -> LocalQuadratic:
    """Return the quadratic through all points of `table`, shape (points, seeds); at least 3 points.

    Seeds are the same at each rate, so their effects are taken out first. The noise of a point's mean is then seen
    twice: in the residuals of rate + seed, and in what the quadratic misses; both are pooled by their degrees of
    freedom, so that a response that is no quadratic has a larger variance, not a wrong one.
    """
    octaves = log2_rates - center
    means = table.mean(axis=1)
    weights = closeness_weights(excess)
    design = numpy.stack([numpy.ones_like(octaves), octaves, octaves**2], axis=1)
    root = numpy.sqrt(weights)
    loads: Array = numpy.asarray(numpy.linalg.pinv(design * root[:, None]) * root, dtype=float)
    level, slope, half_curvature = loads @ means
    missed, missed_df = _noise_from_fit(design, loads, means, weights)
    between, between_df = _noise_from_seeds(table, weights)
    df = missed_df + between_df
    noise = (missed * missed_df + between * between_df) / df if df else math.nan
    return LocalQuadratic(center, octaves, float(level), float(slope), 2 * float(half_curvature), loads, noise, df)


def _noise_from_fit(design: Array, loads: Array, means: Array, weights: Array) -> tuple[float, int]:
    df = len(means) - 3
    if df < 1:
        return 0.0, 0
    residual_maker = numpy.eye(len(means)) - design @ loads
    expected = float((weights[:, None] * residual_maker**2).sum())
    if expected < LEAST_SHARE:
        return 0.0, 0
    return float((weights * (residual_maker @ means) ** 2).sum()) / expected, df


def _noise_from_seeds(table: Array, weights: Array) -> tuple[float, int]:
    """Return the variance of a point's mean over seeds; points count by their weight, as they do in the fit."""
    n_points, n_seeds = table.shape
    df = (n_points - 1) * (n_seeds - 1)
    if df < 1:
        return 0.0, 0
    share = weights / weights.sum()
    seed_effects = share @ table
    residuals = table - table.mean(axis=1, keepdims=True) - seed_effects + seed_effects.mean()
    # Of point i, E Σ_j residual² = σ² (n - 1)(1 - 2 w_i + Σ w²); the sum over points is weighted alike.
    expected = float((share * (1 - 2 * share + (share**2).sum())).sum()) * (n_seeds - 1)
    if expected < LEAST_SHARE:
        return 0.0, 0
    return float((share[:, None] * residuals**2).sum()) / expected / n_seeds, df
