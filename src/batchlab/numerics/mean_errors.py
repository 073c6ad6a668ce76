"""How far the difference between two batch sizes' means is known: residuals, sizes that are noisier, shared noise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.special import fdtrc

from batchlab.numerics.intervals import satterthwaite_df
from batchlab.numerics.two_way import Scores, TwoWay, fit_two_way

NOISY_TEST_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class MeanErrors:
    """The fitted scores and what the variance of each size's mean is made of.

    `variances` are those of one score, `noisy` the sizes with one of their own (n - 1 degrees of freedom), `extra` what
    all seeds of a size share, in variances of the mean. A size's index is its place in `fit.batch_sizes`.
    """

    fit: TwoWay
    variances: NDArray[numpy.float64]
    noisy: NDArray[numpy.bool_]
    extra: NDArray[numpy.float64]

    def of_mean(self) -> NDArray[numpy.float64]:
        """Return the variance of each size's mean, seed effects aside."""
        return self.variances / self.fit.n + self.extra

    def of_difference(self, first: int, second: int) -> tuple[float, float]:
        """Return the variance of the difference of two means and its degrees of freedom."""
        pair = (first, second)
        noise = [float(self.variances[arm]) / self.fit.n for arm in pair]
        if self.noisy[first] or self.noisy[second]:
            df = satterthwaite_df(noise, [self.fit.n - 1 if self.noisy[arm] else self.fit.df for arm in pair])
        else:
            df = self.fit.df
        extra = float(self.extra[first] + self.extra[second])
        return sum(noise) + extra, satterthwaite_df((sum(noise), extra), (df, math.inf))


def mean_errors(scores: Scores, extra_variance: Mapping[int, float] | None = None) -> MeanErrors:
    """Return the errors of the means of `scores`; needs at least 2 sizes and 2 seeds.

    One variance serves all sizes unless a size is noisier than the rest by an F test at .05: it then gets its own, if
    that is larger. The others keep the variance pooled over all, noisy sizes included: dropping those that look
    noisy would leave a pool chosen for being small (at n = 3 that costs 3 points of coverage where all are equal).

    Raises:
        ValueError: A variance in `extra_variance` is negative or not finite.
    """
    fit = fit_two_way(scores)
    extra = _extra(fit.batch_sizes, extra_variance or {})
    variances = numpy.full(len(fit.means), fit.residual_variance)
    noisy = numpy.zeros(len(fit.means), dtype=bool)
    if len(fit.means) > 2:
        own = numpy.maximum(fit.own_variances, 0.0)
        noisy = (own > variances) & _noisier_than_the_rest(fit, own)
        variances = numpy.where(noisy, own, variances)
    return MeanErrors(fit, variances, noisy, extra)


def _noisier_than_the_rest(fit: TwoWay, own: NDArray[numpy.float64]) -> NDArray[numpy.bool_]:
    k = len(fit.means)
    rest = numpy.maximum(k * fit.residual_variance - own, 0.0) / (k - 1)
    ratio = numpy.divide(own, rest, out=numpy.full(k, math.inf), where=rest > 0)
    return numpy.asarray(fdtrc(fit.n - 1, (fit.n - 1) * (k - 2), ratio) < NOISY_TEST_LEVEL)


def _extra(batch_sizes: tuple[int, ...], extra_variance: Mapping[int, float]) -> NDArray[numpy.float64]:
    for size, variance in extra_variance.items():
        if not 0 <= variance < math.inf:
            raise ValueError(
                f"`extra_variance` must be finite and not negative, batch size {size} has {variance}; "
                "use 0.0 where there is none."
            )
    return numpy.array([float(extra_variance.get(size, 0.0)) for size in batch_sizes])
