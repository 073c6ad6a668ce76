"""What a learning rate costs beyond the best one: the factor in time to a target, as a function of ln(rate/best).

    f(z) = τ ln((r e^(-z/τ) + e^(r z/τ))/(1 + r)),   z = ln(rate/best),

is ln(time/least time): 0 at z = 0, with slope 0 and curvature r/τ there. To the left the slope tends to -1: at small
rates training follows one path, at a pace proportional to the rate. To the right it tends to r, which is large where
training soon fails.
"""

import math
from typing import NamedTuple

import numpy
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Array = NDArray[numpy.float64]

FAILURE = math.log(2.0)
# The least standard deviation by which rates are looked for.
LEAST_SD = 0.05
NODES, WEIGHTS = numpy.polynomial.hermite_e.hermegauss(9)


class RateExcess(NamedTuple):
    """f and its derivatives by z, ln r and ln τ."""

    value: Array
    by_z: Array
    by_log_right: Array
    by_log_tau: Array


def rate_excess(z: ArrayLike, right: float, tau: float) -> RateExcess:
    """Return f(z) with its derivatives.

    Args:
        z: ln(rate/best rate), any shape.
        right: r, above 0.
        tau: τ, above 0: how wide the bend is.

    >>> [round(float(rate_excess(z, 3.0, 1.0).value), 2) for z in (-0.693, 0.0, 0.693)]
    [0.43, 0.0, 0.86]
    """
    distance = numpy.asarray(z, dtype=float)
    down, up = math.log(right) - distance / tau, right * distance / tau
    total = numpy.logaddexp(down, up)
    share = numpy.exp(up - total)
    value = tau * (total - math.log1p(right))
    by_z = right * share - (1 - share)
    by_log_right = tau * (1 / (1 + right) - share) + right * distance * share
    return RateExcess(value, by_z, by_log_right, value - distance * by_z)


def cautious_offset(
    sd: float, right: float, tau: float, wall: float = math.inf, wall_width: float = 1.0
) -> tuple[float, float]:
    """Return the z of least expected excess where ln(best rate) is known to a standard deviation, and that excess.

    It minimizes E g(z - sd·N), N standard normal, to a 20th of `sd`, with g = f + ln(2) Φ((z - wall)/wall_width): a run
    that fails counts as one that takes twice as long. Below 0 where the right side is the steeper.

    >>> offset, excess = cautious_offset(0.5, 8.0, 1.0)
    >>> round(offset, 2), round(excess, 2)
    (-0.4, 0.56)
    """
    offsets = numpy.linspace(-3.0, 2.0, 101) * max(sd, LEAST_SD)
    z = offsets[:, None] - sd * NODES
    fails = ndtr((z - wall) / wall_width)
    expected = (rate_excess(z, right, tau).value + FAILURE * fails) @ WEIGHTS / WEIGHTS.sum()
    best = int(expected.argmin())
    return float(offsets[best]), float(expected[best])
