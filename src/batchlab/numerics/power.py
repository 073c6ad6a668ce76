"""What a number of seeds can tell apart, before any is run."""

import math

from scipy.special import nctdtr

from batchlab.numerics.dunnett import dunnett_point
from batchlab.numerics.sample_size import seeds_to_settle_pair


def detectable_difference(
    sd: float, n_seeds: int, n_sizes: int, level: float = 0.95, power: float = 0.8, shared_variance: float = 0.0
) -> float:
    """Return the smallest true difference to the best batch size that is shown with the power.

    A size leaves the indifference set when its lag exceeds c √(2 sd²/n + shared), c the one-sided Dunnett point of the
    sizes at (n - 1)(k - 1) degrees of freedom; with a true lag δ the statistic is a noncentral t, whose noncentrality
    at the power is solved for. `seeds_to_detect` asks the other way round.

    That is the power with one variance for all sizes. The indifference set also gives a size that looks noisier a
    variance of its own, now and then by chance, which costs some of it: .75 of .80 were found with 4 sizes and 5
    seeds, .71 with 8 and 3, .77 with 8 and 10.

    Args:
        sd: Standard deviation of one score with seed effects removed (root of the residual variance).
        n_seeds: Seeds of each batch size, 2 or more.
        n_sizes: Number of batch sizes compared, 2 or more.
        level: Level of the indifference set.
        power: Probability that the difference is shown.
        shared_variance: Variance of the difference that more seeds do not reduce, as from choosing learning rates.

    >>> round(detectable_difference(0.2, 5, 8), 2), round(detectable_difference(0.2, 12, 8), 2)
    (0.42, 0.26)
    """
    _check(sd, n_seeds, n_sizes, power)
    df = (n_seeds - 1) * (n_sizes - 1)
    point = dunnett_point(n_sizes, df, level)
    error = math.sqrt(2 * sd**2 / n_seeds + shared_variance)
    return _noncentrality(df, point, power) * error


def seeds_to_detect(difference: float, sd: float, n_sizes: int, level: float = 0.95, power: float = 0.8) -> int:
    """Return the seeds of each batch size at which a true difference to the best is shown with the power.

    >>> seeds_to_detect(0.25, 0.2, 8)
    14
    """
    _check(sd, 2, n_sizes, power)
    if not difference > 0:
        raise ValueError(f"`difference` must be above 0, got {difference}; give the smallest one that matters.")
    needed = seeds_to_settle_pair(difference, 2 * sd**2, margin=0.0, n_arms=n_sizes, level=level, power=power)
    if needed is None:
        raise ValueError(
            f"A difference of {difference} takes more than a million seeds at a standard deviation of {sd}; "
            "look for a larger difference."
        )
    return needed


def _noncentrality(df: float, point: float, power: float) -> float:
    """Return the δ at which P(T(df, δ) > point) is the power, by bisection."""
    low, high = 0.0, 1.0
    while 1 - float(nctdtr(df, high, point)) < power:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if 1 - float(nctdtr(df, middle, point)) >= power else (middle, high)
    return high


def _check(sd: float, n_seeds: int, n_sizes: int, power: float) -> None:
    if not (0 < sd < math.inf and n_seeds >= 2 and n_sizes >= 2 and 0 < power < 1):
        raise ValueError(
            "Telling apart needs a standard deviation above 0, 2 or more seeds and batch sizes and a power between 0 "
            f"and 1, got {sd}, {n_seeds}, {n_sizes} and {power}; estimate the scatter from a few seeds first."
        )
