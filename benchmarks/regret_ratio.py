"""Regret: how many times as long one setting takes to the target as another, over the same fresh seeds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from batchlab.numerics.intervals import t_interval


@dataclass(frozen=True, slots=True)
class Regret:
    """A ratio of geometric means with its interval, and how many of `n` runs reached the target.

    Where some did not, `value` is a lower bound of the ratio: they count as if they had got there as their budget
    ended. There is then no interval, and `high` is infinite.
    """

    value: float
    low: float
    high: float
    n_reached: int
    n: int

    @property
    def is_bound(self) -> bool:
        """Return whether the ratio is only known to be larger."""
        return self.n_reached < self.n

    def __str__(self) -> str:
        """Return 1.08 (1.02 to 1.15), or what is known where not every run reached the target.

        >>> str(Regret(1.083, 1.021, 1.149, 10, 10)), str(Regret(1.5, 1.5, math.inf, 8, 10))
        ('1.08 (1.02 to 1.15)', 'at least 1.5, 8 of 10 reached')
        """
        if self.n_reached == 0:
            return f"not reached, at least {self.value:.3g}"
        if self.is_bound:
            return f"at least {self.value:.3g}, {self.n_reached} of {self.n} reached"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def regret(costs: Sequence[float], limits: Sequence[float], best: Sequence[float], level: float = 0.95) -> Regret:
    """Return the regret of a setting against the best, one entry a seed, seeds paired.

    exp of the mean of ln(cost/best) with its t interval: data, split and initial weights are the seed's, so that pairs
    share what makes a seed slow. A setting compared with its own runs has a regret of exactly 1.

    Args:
        costs: to the target, infinite where it was not reached.
        limits: what each run cost in all; in place of an infinite cost.
        best: the costs of the best setting, all finite.
        level: coverage of the interval.

    >>> regret([2.0, 4.0, 2.0], [9.0] * 3, [1.0, 2.0, 1.0])
    Regret(value=2.0, low=2.0, high=2.0, n_reached=3, n=3)
    """
    known = [cost if math.isfinite(cost) else limit for cost, limit in zip(costs, limits, strict=True)]
    logs = [math.log(cost / least) for cost, least in zip(known, best, strict=True)]
    n_reached = sum(map(math.isfinite, costs))
    value = math.exp(statistics.fmean(logs))
    if n_reached < len(costs):
        return Regret(value, value, math.inf, n_reached, len(costs))
    interval = t_interval(logs, level=level)
    low, high = (math.nan if limit is None else math.exp(limit) for limit in (interval.low, interval.high))
    return Regret(value, low, high, n_reached, len(costs))
