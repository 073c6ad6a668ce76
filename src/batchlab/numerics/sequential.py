"""Looking at a comparison several times as seeds come in, without more false alarms than one look has.

Looks are planned beforehand, by seeds. At each, the indifference set is taken at that look's own level; a size may be
dropped, and the study stopped, at any look. What else seeds are added for plays no part.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from batchlab.numerics.dunnett import dunnett_probability

Array = NDArray[numpy.float64]
Spending = Callable[[float, float], float]

DRAWS = 400_000


def obrien_fleming_spending(share: float, alpha: float) -> float:
    """Return the error spent by a share of the seeds, 2 - 2 Φ(z_{1-α/2}/√share): little early, nearly all for the end.

    Lan and DeMets (1983).

    >>> [round(obrien_fleming_spending(share, 0.05), 4) for share in (0.25, 0.5, 1.0)]
    [0.0001, 0.0056, 0.05]
    """
    return 2 * float(ndtr(float(ndtri(alpha / 2)) / math.sqrt(share)))


def pocock_spending(share: float, alpha: float) -> float:
    """Return the error spent by a share of the seeds, α ln(1 + (e - 1) share): about alike at every look.

    Lan and DeMets (1983).

    >>> [round(pocock_spending(share, 0.05), 4) for share in (0.25, 0.5, 1.0)]
    [0.0179, 0.031, 0.05]
    """
    return alpha * math.log1p(math.expm1(1.0) * share)


def look_levels(
    n_seeds: Sequence[int], n_sizes: int, level: float = 0.95, *, spending: Spending = obrien_fleming_spending
) -> tuple[float, ...]:
    """Return the level to use at each look so that the best batch size is kept at all looks with probability `level`.

    Look j may spend f(n_j/n_last) - f(n_{j-1}/n_last) of α = 1 - level. The joint law over looks of the largest
    Dunnett statistic among equal sizes (the least favorable case) is drawn, 400,000 statistics from a fixed seed, from
    its independent parts: between looks, means and within-block squares. Each look's point leaves that share of
    the draws that had passed all looks before. The standard error of the total is 0.0004 to 0.001. No look gets less
    than its share alone, which is Bonferroni's split and never too much.

    Exact for scores of equal variance in the two-way model, whatever the seed effects.

    Args:
        n_seeds: Seeds of each size at each look, rising, the first 2 or more.
        n_sizes: Number of batch sizes compared.
        level: Level over all looks.
        spending: Error spent as a function of the share of the seeds and α, from 0 to α.

    >>> [round(look, 2) for look in look_levels([3, 5, 8], 4)]
    [1.0, 0.99, 0.96]
    """
    looks = tuple(n_seeds)
    if not looks or looks[0] < 2 or list(looks) != sorted(set(looks)) or n_sizes < 2 or not 0.5 < level < 1:
        raise ValueError(
            "Looks need rising numbers of seeds from 2 on, 2 or more batch sizes and a level between 0.5 and 1, got "
            f"{list(looks)}, {n_sizes} and {level}; plan for example looks at 3, 5 and 8 seeds at 0.95."
        )
    return _levels(looks, n_sizes, level, spending)


@functools.lru_cache(maxsize=64)
def _levels(looks: tuple[int, ...], n_sizes: int, level: float, spending: Spending) -> tuple[float, ...]:
    if len(looks) == 1:
        return (level,)
    spent = [0.0, *(spending(look / looks[-1], 1 - level) for look in looks)]
    loadings = numpy.full(n_sizes - 1, math.sqrt(0.5))
    statistics = _largest_statistics(looks, n_sizes)
    passed = numpy.ones(statistics.shape[1], dtype=bool)
    levels = []
    for index, look in enumerate(looks):
        share = spent[index + 1] - spent[index]
        rest = numpy.sort(statistics[index, passed])
        allowed = min(int(share * len(passed)), len(rest) - 1)
        point = float(rest[len(rest) - 1 - allowed])
        drawn = dunnett_probability(point, loadings, (look - 1) * (n_sizes - 1))
        levels.append(min(drawn, 1 - share))
        passed &= statistics[index] <= point
    return tuple(levels)


def _largest_statistics(looks: tuple[int, ...], n_sizes: int) -> Array:
    """Return draws of the largest lead over each size at each look, in standard errors; shape (looks, draws)."""
    generator = numpy.random.default_rng(0)
    n_studies = DRAWS // n_sizes
    means, squares = numpy.zeros((n_studies, n_sizes)), numpy.zeros(n_studies)
    found, before = [], 0
    for look in looks:
        added = look - before
        block = generator.normal(0, 1 / math.sqrt(added), (n_studies, n_sizes))
        if added > 1:
            squares += generator.chisquare((added - 1) * (n_sizes - 1), n_studies)
        # Squares of a union: those of the parts, and of the difference of their means.
        gap = block - means if before else numpy.zeros_like(means)
        squares += before * added / look * ((gap - gap.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        means = (before * means + added * block) / look
        error = numpy.sqrt(2 / look * squares / ((look - 1) * (n_sizes - 1)))
        found.append(((means.max(axis=1, keepdims=True) - means) / error[:, None]).ravel())
        before = look
    return numpy.stack(found)
