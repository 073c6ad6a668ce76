"""Fieller's interval for the ratio of two means, where the denominator may be anything."""

import math


def fieller_limits(
    numerator: float,
    denominator: float,
    covariance: tuple[float, float, float],
    *,
    point: float,
) -> tuple[float, float] | None:
    """Return the lowest and highest ratio ρ >= 0 that the data do not reject; None where they reject all of them.

    The set is that of all ρ for which numerator - ρ denominator, normal with mean 0 at the true ratio, lies within
    `point` standard deviations (Fieller 1954):

        a ρ² - 2 b ρ + c <= 0,   a = Y² - t² C_yy,   b = X Y - t² C_xy,   c = X² - t² C_xx.

    This form divides neither by Y nor by 1 - g, so it goes on smoothly where the denominator is not different from 0:
    the set then has no upper end and the high limit is infinite, also for a negative Y. Where neither mean is
    different from 0 the limits are (0, ∞), even if some ratios between are rejected. The coverage is exact for normal
    means with a covariance known up to scale, and holds over all shapes of the set together: among the repetitions
    that happen to be unbounded it can be anything, so never measure again until the set has a wanted shape.

    Args:
        numerator, denominator: the means X and Y.
        covariance: (C_xx, C_xy, C_yy) of the *means*.
        point: t, the two-sided quantile, such as that of Student's t at .975.

    >>> fieller_limits(20.0, 2.0, (1.0, 0.0, 0.01), point=2.0)
    (8.676..., 11.525...)
    >>> fieller_limits(20.0, -0.1, (1.0, 0.0, 0.04), point=2.0)
    (66.416..., inf)
    >>> fieller_limits(20.0, -2.0, (1.0, 0.0, 0.01), point=2.0) is None
    True
    """
    c_xx, c_xy, c_yy = covariance
    # The two parts have different units; in units of their own size nothing below under- or overflows.
    x_unit = max(abs(numerator), math.sqrt(c_xx)) or 1.0
    y_unit = max(abs(denominator), math.sqrt(c_yy)) or 1.0
    x, y = numerator / x_unit, denominator / y_unit
    t_xx, t_xy, t_yy = (
        point**2 * part for part in (c_xx / x_unit / x_unit, c_xy / x_unit / y_unit, c_yy / y_unit / y_unit)
    )
    # b² - a c, written without the difference of two large numbers.
    root = math.sqrt(max(0.0, x**2 * t_yy - 2 * x * y * t_xy + y**2 * t_xx - (t_xx * t_yy - t_xy**2)))
    limits = _nonnegative_part(y**2 - t_yy, x * y - t_xy, x**2 - t_xx, root)
    if limits is None:
        return None
    low, high = (limit * (x_unit / y_unit) for limit in limits)
    if denominator > 0 and numerator >= 0:
        # The ratio itself is always in the set; only rounding can put it outside.
        low, high = min(low, numerator / denominator), max(high, numerator / denominator)
    return low, high


def _nonnegative_part(a: float, b: float, c: float, root: float) -> tuple[float, float] | None:
    """Return the ends of {ρ >= 0: a ρ² - 2 b ρ + c <= 0}, `root` being √(b² - a c)."""
    if c <= 0:
        return 0.0, _larger_root(a, b, c, root) if a > 0 else math.inf
    if a > 0:
        return (c / (b + root), (b + root) / a) if b > 0 else None
    if b <= 0:
        return (b - root) / a if a < 0 else math.inf, math.inf
    return c / (b + root), math.inf


def _larger_root(a: float, b: float, c: float, root: float) -> float:
    return (b + root) / a if b >= 0 else c / (b - root)
