"""How far batch sizes scatter about a curve: by no more than their seeds do, or by what all seeds of a size share."""

import math
from typing import NamedTuple

from scipy.special import fdtrc, fdtri

# Two variances are pooled only where a test that finds small differences finds none.
POOLING_LEVEL = 0.25


class Scatter(NamedTuple):
    """The mean square to judge a model by, in units of its residual sum of squares, and its degrees of freedom.

    `p_value` is that of the model against one mean a size; 1 where there is no such test.
    """

    mean_square: float
    df: int
    p_value: float

    def allowed(self, level: float) -> float:
        """Return the share by which one parameter may raise the sum of squares within its interval."""
        return float(fdtri(1, self.df, level)) * self.mean_square

    def p_value_of(self, gain: float, n: int) -> float:
        """Return the p-value of one more coefficient, from twice the log-likelihood that it gains in n values."""
        return float(fdtrc(1, self.df, math.expm1(max(gain, 0.0) / n) / self.mean_square))


def scatter_about(n: int, k: int, q: int, misfit: float) -> Scatter | None:
    """Return the scatter of n values of k batch sizes about a model with q coefficients; None where n <= q.

    Twice a log-likelihood ratio of n normal values is n ln(RSS_1/RSS_2), which turns it into sums of squares and an
    exact F statistic; with censored values n are those not censored, and F an approximation. The sizes' own mean
    square, with k - q degrees of freedom, is used where it exceeds that within sizes by an F test at .25, else both
    are pooled.

    Args:
        n, k, q: see above.
        misfit: twice the log-likelihood that one mean a size gains over the model.

    >>> scatter_about(30, 10, 2, 0.0)
    Scatter(mean_square=0.0357..., df=28, p_value=1.0)
    """
    if n <= q:
        return None
    p_value = 1.0
    if n > k > q:
        between = -math.expm1(-max(misfit, 0.0) / n) / (k - q)
        within = math.exp(-max(misfit, 0.0) / n) / (n - k)
        p_value = float(fdtrc(k - q, n - k, between / within))
        if p_value < POOLING_LEVEL:
            return Scatter(between, k - q, p_value)
    return Scatter(1 / (n - q), n - q, p_value)
