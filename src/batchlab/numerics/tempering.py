"""Draws from a posterior with a normal prior, by tempering: many points at once, from the prior to the posterior."""

from collections.abc import Callable, Sequence

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]
LogLikelihood = Callable[[Array], Array]

# Moves a temperature; the step is this share of 2.38/√d, the best for a normal posterior.
MOVES = 6
STEP_SHARE = 0.6
HALVINGS = 40


def draw_posterior(
    log_likelihood: LogLikelihood,
    mean: Sequence[float],
    sd: Sequence[float],
    *,
    n_draws: int = 1000,
    seed: int = 0,
) -> Array:
    """Return `n_draws` points of the posterior, shape (n_draws, parameters), under independent normal priors.

    Sequential Monte Carlo (Del Moral, Doucet and Jasra 2006): points of the prior are weighted by the likelihood to a
    small power, drawn again by these weights and moved by Metropolis steps, and the power is raised to 1 in steps that
    keep half of the effective number of points. Several maxima are no obstacle, as they are to a single chain.

    Args:
        log_likelihood: takes points of shape (m, parameters) and returns m values.
        mean, sd: of the priors, one entry a parameter.
        n_draws: points.
        seed: the same seed gives the same points.

    >>> draws = draw_posterior(lambda q: -0.5 * (q[:, 0] - 2) ** 2, [0.0], [1.0], n_draws=2000)
    >>> abs(float(draws.mean()) - 1) < 0.1, abs(float(draws.std()) - 0.5**0.5) < 0.1
    (True, True)
    """
    generator = numpy.random.default_rng(seed)
    center, scale = numpy.asarray(mean, dtype=float), numpy.asarray(sd, dtype=float)

    def log_prior(points: Array) -> Array:
        return numpy.asarray(-0.5 * (((points - center) / scale) ** 2).sum(axis=1))

    points = center + scale * generator.standard_normal((n_draws, len(center)))
    likelihood, prior = log_likelihood(points), log_prior(points)
    power = 0.0
    while power < 1:
        step = _next_step(likelihood, 1 - power)
        power += step
        chosen = _redrawn(step * (likelihood - likelihood.max()), generator)
        points, likelihood, prior = points[chosen], likelihood[chosen], prior[chosen]
        spread = numpy.cov(points.T).reshape(len(center), len(center)) + 1e-9 * numpy.diag(scale**2)
        root = numpy.linalg.cholesky(spread) * (STEP_SHARE * 2.38 / len(center) ** 0.5)
        for _ in range(MOVES):
            moved = points + generator.standard_normal(points.shape) @ root.T
            new_likelihood, new_prior = log_likelihood(moved), log_prior(moved)
            gain = power * (new_likelihood - likelihood) + new_prior - prior
            taken = numpy.log(generator.random(n_draws)) < gain
            points[taken], likelihood[taken], prior[taken] = moved[taken], new_likelihood[taken], new_prior[taken]
    return points


def _next_step(likelihood: Array, rest: float) -> float:
    """Return by how much the power may rise, up to `rest`, so that half of the points still count."""
    excess = likelihood - likelihood.max()

    def keeps_half(step: float) -> bool:
        weights = numpy.exp(step * excess)
        return bool(weights.sum() ** 2 >= 0.5 * len(weights) * (weights @ weights))

    if keeps_half(rest):
        return rest
    low, high = 0.0, rest
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps_half(middle) else (low, middle)
    return high


def _redrawn(log_weights: Array, generator: numpy.random.Generator) -> NDArray[numpy.intp]:
    """Return the indices of points drawn by their weights, evenly spread (systematic resampling)."""
    weights = numpy.exp(log_weights)
    places = (numpy.arange(len(weights)) + generator.random()) / len(weights)
    return numpy.minimum(numpy.searchsorted(numpy.cumsum(weights / weights.sum()), places), len(weights) - 1)
