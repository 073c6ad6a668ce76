"""Which batch sizes tie with the best, which are worse, and whether there is any difference at all.

Everywhere `scores` are paired by seed ({batch_size: [one value a seed]} or {batch_size: {seed: value}}), and
`extra_variance` is {batch_size: variance of that size's *mean* that all its seeds share}: the noise of choosing its
learning rate, which no scatter over seeds can show. Sizes it does not name have none; sizes
only it names are ignored.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtrit

from batchlab.numerics.dunnett import dunnett_point, dunnett_probability
from batchlab.numerics.intervals import satterthwaite_df
from batchlab.numerics.mean_errors import MeanErrors, mean_errors
from batchlab.numerics.sample_size import seeds_to_settle_pair
from batchlab.numerics.two_way import Scores, score_table

__all__ = [
    "Comparison",
    "compare_to_best",
    "dunnett_point",
    "equal_means_p_value",
    "expected_best_of",
    "holm",
    "indifference_set",
    "outcome_of",
    "seeds_to_settle",
]

# Means of equal scores may differ by rounding; this is relative to the largest mean.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Comparison:
    """A difference to the best mean (this size minus the best, in the metric's unit), its interval and what it shows.

    `outcome` is equivalent, worse, better or undecided.
    """

    difference: float
    low: float
    high: float
    outcome: str


def indifference_set(
    scores: Scores,
    level: float = 0.95,
    higher_is_better: bool = True,
    *,
    extra_variance: Mapping[int, float] | None = None,
) -> tuple[int, ...]:
    """Return the batch sizes not shown to be worse than the best, in rising order.

    In the two-way model a size is kept while mean >= best mean - c √(2 s²/n), c the one-sided Dunnett point of k sizes
    at (n - 1)(k - 1) degrees of freedom. P(the true best is kept) >= level whatever the seed effects: .950 when all
    tie, .980 with five clearly worse sizes. A large set means "not resolved", not "equal".

    Where sizes differ in variance, by an F test (see `mean_errors`) or through `extra_variance`, each size is tested
    against each rival with the variance of that pair, and c solves Dunnett's integral with the correlations that the
    variances imply. A best size 3 times noisier than seven others is so kept in .95 (n = 5), .97 (n = 10) and .93
    (n = 3) of repetitions, where one common variance keeps it in .86; the price is .957 instead of .950 when all are
    equal.

    With one size, or with fewer than 2 seeds, nothing can be shown to be worse: all sizes are returned.

    >>> indifference_set({8: [0.90, 0.91, 0.92], 16: [0.91, 0.90, 0.93], 32: [0.60, 0.62, 0.61]})
    (8, 16)
    """
    _check_level(level)
    batch_sizes, table = score_table(scores)
    if min(table.shape) < 2:
        return batch_sizes
    errors = mean_errors(scores, extra_variance)
    goodness = numpy.array(errors.fit.means) * (1.0 if higher_is_better else -1.0)
    tolerance = ROUNDING * float(numpy.abs(goodness).max())
    kept = []
    for arm, size in enumerate(batch_sizes):
        leads = goodness - goodness[arm]
        rivals = [rival for rival in range(len(batch_sizes)) if leads[rival] > tolerance]
        if not any(_beats(errors, rival, arm, float(leads[rival]), level) for rival in rivals):
            kept.append(size)
    return tuple(kept)


def _beats(errors: MeanErrors, rival: int, arm: int, lead: float, level: float) -> bool:
    """Return whether `rival` is shown better than `arm`, which is compared with all others at once."""
    variance, df = errors.of_difference(rival, arm)
    if variance == 0:
        return True
    statistic = lead / math.sqrt(variance)
    variances = errors.of_mean()
    if numpy.ptp(variances) == 0 and df == errors.fit.df:
        return statistic > dunnett_point(len(variances), df, level)
    if statistic <= stdtrit(df, level):
        return False
    others = numpy.delete(variances, arm)
    total = others + variances[arm]
    loadings = numpy.sqrt(numpy.divide(variances[arm], total, out=numpy.zeros_like(total), where=total > 0))
    return dunnett_probability(statistic, loadings, df) > level


def equal_means_p_value(scores: Scores, *, extra_variance: Mapping[int, float] | None = None) -> float:
    """Return the p-value of the global two-way F test that all batch sizes have one mean.

    F = Var(means)/(s²/n + ū), ū the mean extra variance. Means of unequal variance v_i = s²/n + u_i make the
    numerator a weighted sum of χ², matched by one χ² with tr(CV)²/tr(CVCV) degrees of freedom, C = I - 11'/k
    (Box 1954); the denominator has those of s² times (1 + ū n/s²)². Without extra variance this is the plain F test.
    It assumes that scores of all sizes scatter alike: with one of 8 equal sizes 3 times noisier it rejects in .10
    of repetitions instead of .05.

    With one size, or with fewer than 2 seeds, there is no test: NaN.

    >>> round(equal_means_p_value({8: [1.0, 2.0, 3.0], 16: [1.1, 2.0, 3.2], 32: [2.0, 3.1, 4.0]}), 5)
    0.00015
    """
    _, table = score_table(scores)
    k, n = table.shape
    if min(k, n) < 2:
        return math.nan
    errors = mean_errors(scores, extra_variance)
    residual = errors.fit.residual_variance / n
    between = float(numpy.var(errors.fit.means, ddof=1))
    tolerance = (ROUNDING * float(numpy.abs(errors.fit.means).max())) ** 2
    if between <= tolerance:
        return 1.0
    denominator = residual + float(errors.extra.mean())
    if denominator <= tolerance:
        return 0.0
    numerator_df = _box_df(residual + errors.extra)
    denominator_df = satterthwaite_df((residual, float(errors.extra.mean())), (errors.fit.df, math.inf))
    return float(fdtrc(numerator_df, denominator_df, between / denominator))


def _box_df(variances: NDArray[numpy.float64]) -> float:
    projected = (numpy.eye(len(variances)) - 1 / len(variances)) * variances
    return float(numpy.trace(projected) ** 2 / numpy.trace(projected @ projected))


def compare_to_best(
    scores: Scores,
    *,
    margin: float,
    level: float = 0.95,
    higher_is_better: bool = True,
    extra_variance: Mapping[int, float] | None = None,
) -> dict[int, Comparison]:
    """Return, for each batch size, its difference to the best mean, the interval and the outcome.

    The interval has coverage 1 - 2(1 - level), 90 % at level .95, from the two-way residual variance (a noisier
    size's own, see `mean_errors`) and both sizes' extra variances; "inside ±margin" is then the two one-sided tests
    of equivalence (TOST) at 1 - level. It is that of one pair: which sizes are worse than the best, all at once, is
    the question of `indifference_set`.

    The best size is equivalent to itself. With fewer than 2 seeds the other intervals are infinite.

    Args:
        scores: see the module.
        margin: Largest difference that does not matter, in the metric's unit.
        level: One-sided level of each limit.
        higher_is_better: Direction of the metric.
        extra_variance: see the module.
    """
    _check_level(level)
    _check_margin(margin)
    batch_sizes, table = score_table(scores)
    means = table.mean(axis=1)
    best = _best(means, higher_is_better)
    testable = min(table.shape) > 1
    errors = mean_errors(scores, extra_variance) if testable else None
    compared = {}
    for arm, size in enumerate(batch_sizes):
        difference = float(means[arm] - means[best])
        half_width = 0.0 if arm == best else math.inf
        if errors is not None and arm != best:
            variance, df = errors.of_difference(arm, best)
            half_width = float(stdtrit(df, level)) * math.sqrt(variance)
        low, high = difference - half_width, difference + half_width
        outcome = outcome_of(low, high, margin=margin, higher_is_better=higher_is_better)
        compared[size] = Comparison(difference, low, high, "equivalent" if arm == best else outcome)
    return compared


def outcome_of(low: float, high: float, *, margin: float, higher_is_better: bool = True) -> str:
    """Return what the interval of a difference shows: equivalent (inside ±margin), worse, better or undecided.

    >>> outcome_of(-0.02, -0.01, margin=0.005), outcome_of(-0.002, -0.001, margin=0.005)
    ('worse', 'equivalent')
    """
    if -margin < low and high < margin:
        return "equivalent"
    if low > 0:
        return "better" if higher_is_better else "worse"
    if high < 0:
        return "worse" if higher_is_better else "better"
    return "undecided"


def seeds_to_settle(
    scores: Scores,
    *,
    margin: float,
    level: float = 0.95,
    higher_is_better: bool = True,
    extra_variance: Mapping[int, float] | None = None,
    power: float = 0.8,
) -> dict[int, int | None]:
    """Return how many seeds *in all* would settle each batch size that is not shown equivalent to the best.

    Takes the observed difference and residual variance as true (see `seeds_to_settle_pair`); at least one seed more
    than there are. None where the extra variance alone prevents an answer. The best size and those shown equivalent
    are absent.

    Raises:
        ValueError: There are fewer than 2 seeds.
    """
    _, table = score_table(scores)
    k, n = table.shape
    if n < 2:
        raise ValueError("`seeds_to_settle` needs at least 2 seeds to see their scatter, got 1; run another seed.")
    if k < 2:
        return {}
    compared = compare_to_best(
        scores, margin=margin, level=level, higher_is_better=higher_is_better, extra_variance=extra_variance
    )
    errors = mean_errors(scores, extra_variance)
    best = _best(table.mean(axis=1), higher_is_better)
    needed: dict[int, int | None] = {}
    for arm, (size, comparison) in enumerate(compared.items()):
        if comparison.outcome == "equivalent":
            continue
        noise, shared = (float(part[arm] + part[best]) for part in (errors.variances, errors.extra))
        count = seeds_to_settle_pair(
            comparison.difference, noise, shared, margin=margin, n_arms=k, level=level, power=power
        )
        needed[size] = None if count is None else max(count, n + 1)
    return needed


def holm(p_values: Sequence[float], level: float = 0.95) -> tuple[bool, ...]:
    """Return which hypotheses Holm's step-down procedure rejects, in the order given.

    Sorted upward, p_(k) of m is rejected while p_(k) <= (1 - level)/(m - k + 1). P(any false rejection) <= 1 - level.

    >>> holm([0.04, 0.001, 0.03])
    (False, True, False)
    """
    _check_level(level)
    rejected = [False] * len(p_values)
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if not p_values[index] <= (1 - level) / (len(p_values) - place):
            break
        rejected[index] = True
    return tuple(rejected)


def expected_best_of(values: Sequence[float], n: int, *, higher_is_better: bool = True) -> float:
    """Return the unbiased estimate of the expected best of `n` trials, from M >= n trials.

    Σ_i v_(i) C(i-1, n-1)/C(M, n) with v sorted upward: the mean of the best over all subsets of n. (The form with
    powers of i/M, Dodge et al. 2019, draws with replacement and is too low for n near M.)

    >>> expected_best_of([1.0, 2.0, 3.0], 2)
    2.666...
    """
    if not 1 <= n <= len(values):
        raise ValueError(f"`n` must lie between 1 and the number of values ({len(values)}), got {n}; run more trials.")
    ordered = sorted(values, reverse=not higher_is_better)
    subsets = math.comb(len(values), n)
    return math.fsum(value * (math.comb(place, n - 1) / subsets) for place, value in enumerate(ordered))


def _best(means: NDArray[numpy.float64], higher_is_better: bool) -> int:
    return int(means.argmax() if higher_is_better else means.argmin())


def _check_level(level: float) -> None:
    if not 0.5 < level < 1:
        raise ValueError(f"`level` must lie between 0.5 and 1, got {level}; use 0.95 for a test at 5 %.")


def _check_margin(margin: float) -> None:
    if not 0 <= margin < math.inf:
        raise ValueError(
            f"`margin` must be finite and not negative, got {margin}; use the largest difference that does not matter."
        )
