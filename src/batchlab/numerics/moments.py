"""Moments of a stream of numbers to the fourth order, without keeping the numbers."""

import math
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from batchlab.numerics.intervals import FEWEST_VALUES, Interval


@dataclass(frozen=True, slots=True)
class Moments:
    """How many numbers there were, their mean, and their sums of powers about it, m_k = Σ (x - mean)^k.

    Variance and standard deviation divide by n - 1; skewness and kurtosis are the plain forms, SciPy's defaults. What
    the numbers do not determine is NaN.
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0

    @property
    def variance(self) -> float:
        """The scatter m2/(n - 1), unbiased for independent numbers; NaN for fewer than two."""
        return self.m2 / (self.n - 1) if self.n > 1 else math.nan

    @property
    def sd(self) -> float:
        """The square root of the variance."""
        return math.sqrt(self.variance)

    @property
    def skewness(self) -> float:
        """The asymmetry √n m3/m2^1.5; NaN where all numbers are equal."""
        return math.sqrt(self.n / self.m2) * (self.m3 / self.m2) if self.m2 > 0 else math.nan

    @property
    def excess_kurtosis(self) -> float:
        """The excess over a normal distribution, n m4/m2² - 3; NaN where all numbers are equal."""
        return self.n * (self.m4 / self.m2 / self.m2) - 3 if self.m2 > 0 else math.nan

    @property
    def mean_error(self) -> float:
        """The standard error of the mean, sd/√n."""
        return self.sd / math.sqrt(self.n) if self.n > 1 else math.nan

    @property
    def sd_error(self) -> float:
        """The standard error of the standard deviation, (sd/2) √((k + 2)/n) with k the excess kurtosis.

        By the delta method from Var(s²) = σ⁴ (k + 2)/n; needs finite fourth moments.
        """
        return self.sd / 2 * math.sqrt((self.excess_kurtosis + 2) / self.n) if self.m2 > 0 else math.nan


def moments_of(values: ArrayLike) -> Moments:
    """Return the moments of all numbers in `values`, of any shape.

    >>> moments_of([1.0, 2.0, 3.0, 6.0])
    Moments(n=4, mean=3.0, m2=14.0, m3=18.0, m4=98.0)
    """
    numbers = numpy.asarray(values, dtype=float).ravel()
    if not numpy.isfinite(numbers).all():
        raise ValueError(
            f"`values` must be finite, got {int((~numpy.isfinite(numbers)).sum())} of {numbers.size} that are not; "
            "leave out the steps whose gradient overflowed."
        )
    if numbers.size == 0:
        return Moments()
    mean = float(numbers.mean())
    about = numbers - mean
    return Moments(numbers.size, mean, *(float((about**power).sum()) for power in (2, 3, 4)))


def merge_moments(a: Moments, b: Moments) -> Moments:
    """Return the moments of two streams together, as if they had been one (Chan et al. 1979; Pébay 2008).

    With D = mean_b - mean_a and n = n_a + n_b,

        m2 = m2a + m2b + D² n_a n_b/n
        m3 = m3a + m3b + D³ n_a n_b (n_a - n_b)/n² + 3D (n_a m2b - n_b m2a)/n
        m4 = m4a + m4b + D⁴ n_a n_b (n_a² - n_a n_b + n_b²)/n³ + 6D² (n_a² m2b + n_b² m2a)/n² + 4D (n_a m3b - n_b m3a)/n

    >>> merge_moments(moments_of([1.0, 2.0]), moments_of([3.0, 6.0]))
    Moments(n=4, mean=3.0, m2=14.0, m3=18.0, m4=98.0)
    """
    n = a.n + b.n
    if a.n == 0 or b.n == 0:
        return b if a.n == 0 else a
    apart = b.mean - a.mean
    share_a, share_b = a.n / n, b.n / n
    m2 = a.m2 + b.m2 + apart**2 * n * share_a * share_b
    m3 = a.m3 + b.m3 + apart**3 * n * share_a * share_b * (share_a - share_b)
    m3 += 3 * apart * (share_a * b.m2 - share_b * a.m2)
    m4 = a.m4 + b.m4 + apart**4 * n * share_a * share_b * (share_a**2 - share_a * share_b + share_b**2)
    m4 += 6 * apart**2 * (share_a**2 * b.m2 + share_b**2 * a.m2) + 4 * apart * (share_a * b.m3 - share_b * a.m3)
    return Moments(n, a.mean + apart * share_b, m2, m3, m4)


def add_value(moments: Moments, value: float) -> Moments:
    """Return the moments with one more number.

    >>> add_value(moments_of([1.0, 2.0, 3.0]), 6.0)
    Moments(n=4, mean=3.0, m2=14.0, m3=18.0, m4=98.0)
    """
    return merge_moments(moments, moments_of(value))


def mean_interval(moments: Moments, *, level: float = 0.95) -> Interval:
    """Return the mean with its t interval, as `t_interval` would from the numbers themselves.

    >>> mean_interval(moments_of([1.0, 2.0, 3.0]))
    Interval(mean=2.0, low=-0.484..., high=4.484...)
    """
    if moments.n < FEWEST_VALUES:
        return Interval(moments.mean, None, None)
    half_width = float(stdtrit(moments.n - 1, 0.5 + level / 2)) * moments.mean_error
    return Interval(moments.mean, moments.mean - half_width, moments.mean + half_width)
