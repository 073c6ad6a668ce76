"""The noise of choosing: what picking the best of several settings by noisy scores adds to what is found there."""

import functools
import math

import numpy
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

N_NODES = 80


def pick_probabilities(scores: ArrayLike, variance: float) -> NDArray[numpy.float64]:
    """Return for each setting the probability that its score is the lowest when all of them are drawn again.

    With X_j ~ N(s_j, v) independent, P_j = ∫ φ(z) Π_{k≠j} Φ((s_k - s_j)/√v - z) dz, by Gauss-Hermite quadrature; the
    sum, 1 but for its error, is made 1.

    Args:
        scores: s, shape (settings,), lower is better.
        variance: v, of one score around s.

    >>> pick_probabilities([0.0, 0.0, 100.0], 1.0).round(3).tolist()
    [0.5, 0.5, 0.0]
    """
    s = numpy.asarray(scores, dtype=float)
    if not variance > 0:
        lowest = s == s.min()
        return numpy.asarray(lowest / lowest.sum())
    nodes, weights = _nodes()
    distances = (s[None, :] - s[:, None]) / math.sqrt(variance)
    above = ndtr(distances[:, :, None] - nodes)
    above[numpy.arange(len(s)), numpy.arange(len(s))] = 1.0
    found = above.prod(axis=1) @ weights
    return numpy.asarray(found / found.sum())


def choice_variance(
    scores: ArrayLike, outcomes: ArrayLike, score_variance: float, outcome_variance: float = 0.0
) -> float:
    """Return the variance, over repetitions of the tuning, of the outcome at the setting that it picks.

    With P_j the probabilities that it picks j, its scores N(s_j, v), this is Σ P_j (y_j - ȳ)², ȳ = Σ P_j y_j, less
    what the noise w of the outcomes themselves puts in it, (1 - Σ P_j²) w; at least 0. Assumes equal variances, and
    the noise of scores and outcomes unrelated; which settings were there to choose from is not in it.
    Simulated with 6 settings it is 1.1 to 2 times the variance between repetitions, on average: rather too much.

    Args:
        scores: s, shape (settings,), by which one is picked; lower is better.
        outcomes: y, shape (settings,), of what the choice is for.
        score_variance: v, of one score.
        outcome_variance: w, of one outcome.

    >>> round(choice_variance([0.0, 0.0], [0.1, 0.3], 1.0), 6)
    0.01
    """
    y = numpy.asarray(outcomes, dtype=float)
    probabilities = pick_probabilities(scores, score_variance)
    spread = float(probabilities @ (y - probabilities @ y) ** 2)
    return max(0.0, spread - (1 - float(probabilities @ probabilities)) * outcome_variance)


@functools.cache
def _nodes() -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
    nodes, weights = hermegauss(N_NODES)
    return nodes, weights
