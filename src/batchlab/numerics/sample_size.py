"""How many seeds it takes to show a difference, or that there is none worth showing."""

import math
from collections.abc import Callable

from scipy.special import nctdtr, ndtr, stdtrit

from batchlab.numerics.dunnett import dunnett_point

MOST_SEEDS = 1_000_000
# Above this many degrees of freedom t and normal differ by less than a seed.
NORMAL_DF = 300


def seeds_for_difference(delta: float, sd: float, power: float = 0.8, *, level: float = 0.95) -> int:
    """Return the seeds *per arm* that show a difference `delta` between two unpaired arms, two-sided.

    The smallest n at which the t test with 2(n - 1) degrees of freedom and noncentrality delta/√(2 sd²/n) has the
    power; for large n this is 2 sd²(z_{.975} + z_power)²/delta². 64, 17, 9, 6 for delta/sd = .5, 1, 1.5, 2.

    >>> seeds_for_difference(1.0, 1.0)
    17
    """
    _check(delta, sd, power)
    quantile = 0.5 + level / 2
    return _required(
        power,
        lambda n: _one_sided_power(delta / (sd * math.sqrt(2 / n)), _t_point(2 * (n - 1), quantile), 2 * (n - 1)),
    )


def seeds_for_paired_difference(delta: float, sd: float, power: float = 0.8, *, level: float = 0.95) -> int:
    """Return the pairs that show a mean difference `delta` of pairs whose differences scatter by `sd`, two-sided.

    With scores of variance σ² correlated ρ within a seed, sd² = 2σ²(1 - ρ). 34, 10, 6, 5 for delta/sd = .5, 1, 1.5, 2.

    >>> seeds_for_paired_difference(1.0, 1.0)
    10
    """
    _check(delta, sd, power)
    quantile = 0.5 + level / 2
    return _required(power, lambda n: _one_sided_power(delta / (sd / math.sqrt(n)), _t_point(n - 1, quantile), n - 1))


def seeds_for_equivalence(margin: float, sd: float, power: float = 0.8, *, level: float = 0.95) -> int:
    """Return the seeds *per arm* that show two equal unpaired arms equivalent within ±margin (TOST at 1 - level).

    For large n this is 2 sd²(z_{.95} + z_{(1+power)/2})²/margin². 70 for margin/sd = .5.

    >>> seeds_for_equivalence(0.5, 1.0)
    70
    """
    _check(margin, sd, power)

    def power_of(n: int) -> float:
        df = 2 * (n - 1)
        return _equivalence_power(0.0, margin, sd * math.sqrt(2 / n), _t_point(df, level), df)

    return _required(power, power_of)


def seeds_to_settle_pair(
    difference: float,
    noise_variance: float,
    shared_variance: float = 0.0,
    *,
    margin: float,
    n_arms: int = 2,
    level: float = 0.95,
    power: float = 0.8,
) -> int | None:
    """Return how many seeds would settle whether a batch size is worse than the best or equivalent to it.

    Where |difference| < margin/2 the question is equivalence (TOST), else whether the size leaves the indifference set
    (one-sided Dunnett point). The standard error at n seeds is √(noise/n + shared), with (n - 1)(k - 1) degrees of
    freedom.

    None where no number of seeds would do, because the shared variance alone prevents it, or where it would take
    more than a million.

    Args:
        difference: True difference of the two means.
        noise_variance: Variance of the difference of two scores of one seed, seed effects removed.
        shared_variance: Variance of the difference that more seeds do not reduce.
        margin: Largest difference that does not matter, in the metric's unit.
        n_arms: Number of batch sizes compared.
        level: One-sided level.
        power: Probability that the question is settled.

    >>> seeds_to_settle_pair(0.01, 2 * 0.01**2, margin=0.005)
    14
    """
    difference = abs(difference)
    equivalent = difference < margin / 2

    def power_of(n: int) -> float:
        error = math.sqrt(noise_variance / n + shared_variance)
        df = (n - 1) * (n_arms - 1)
        if error == 0:
            return 1.0 if equivalent or difference > 0 else 0.0
        if equivalent:
            return _equivalence_power(difference, margin, error, _t_point(df, level), df)
        # Beyond NORMAL_DF the point hardly moves, and each new one costs an integral.
        return _one_sided_power(difference / error, dunnett_point(n_arms, min(df, NORMAL_DF), level), df)

    return _smallest(power, power_of)


def _one_sided_power(noncentrality: float, point: float, df: float) -> float:
    """Return P(T > point) of a noncentral t."""
    if df > NORMAL_DF or noncentrality > 30:
        return float(ndtr(noncentrality - point))
    return 1.0 - float(nctdtr(df, noncentrality, point))


def _equivalence_power(difference: float, margin: float, error: float, point: float, df: float) -> float:
    """Return a lower bound of the power of TOST that is sharp at the powers of interest."""
    upper = _one_sided_power((margin - difference) / error, point, df)
    lower = _one_sided_power((margin + difference) / error, point, df)
    return max(upper + lower - 1.0, 0.0)


def _t_point(df: float, quantile: float) -> float:
    return float(stdtrit(df, quantile))


def _required(power: float, power_of: Callable[[int], float]) -> int:
    found = _smallest(power, power_of)
    if found is None:
        raise ValueError(
            f"It would take more than {MOST_SEEDS:,} seeds, which cannot be meant; look for a larger difference."
        )
    return found


def _smallest(power: float, power_of: Callable[[int], float]) -> int | None:
    """Return the smallest n >= 2 with the power, by doubling and bisection."""
    low, high = 1, 2
    while power_of(high) < power:
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= power else (middle, high)
    return high


def _check(difference: float, sd: float, power: float) -> None:
    if not (difference > 0 and sd > 0 and 0 < power < 1):
        raise ValueError(
            f"The difference and the standard deviation must be above 0 and the power between 0 and 1, "
            f"got {difference}, {sd} and {power}; give the smallest difference that matters."
        )
