"""From drawn gradient norms to a table by batch size, and to what they say of claims about large batches."""

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from batchlab.numerics.gradient_norms import effective_rank, fit_gradient_norm_law, norm_regime
from batchlab.numerics.intervals import Interval
from batchlab.numerics.jackknife import jackknife_interval
from batchlab.numerics.moments import moments_of

Array = NDArray[numpy.float64]

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True)
class NormRow:
    """The norms |g_B| of one batch size; of the mean loss unless said otherwise.

    `sum_mean` and `sum_sd` are those of the summed loss, B times as much. `rescaled_sd` is the standard deviation after
    the norms were multiplied to have the mean of the reference size. `law_ratio` is the mean of |g_B|² over the fitted
    law and `law_error` its standard error. `regime` is noise, between or signal; empty where the noise scale is not
    resolved.
    """

    batch_size: int
    mean: float
    sd: float
    skewness: float
    excess_kurtosis: float
    low: float
    median: float
    high: float
    sum_mean: float
    sum_sd: float
    rescaled_sd: float
    law_ratio: float
    law_error: float
    regime: str


@dataclass(frozen=True, slots=True)
class NormTable:
    """Gradient norms by batch size at one checkpoint, and the law E|g_B|² = signal + trace/B fitted to them.

    `effective_rank` is (tr Σ)²/tr(Σ²) from the relative spread at the smallest size. The logarithms of ratios are those
    of the largest size over the smallest, with jackknife intervals over streams: of the mean norm, and of the standard
    deviation in mean form and relative to the mean. In sum form both are ln(largest/smallest size) more.
    """

    n_draws: int
    reference_batch_size: int
    rows: tuple[NormRow, ...]
    signal: float
    trace: float
    noise_scale: float | None
    noise_scale_low: float | None
    noise_scale_high: float | None
    effective_rank: float
    log_mean_ratio: Interval
    log_sd_ratio: Interval
    log_relative_sd_ratio: Interval
    n_skipped: int = 0


def norm_table(batch_sizes: tuple[int, ...], sq_norms: Array, *, level: float = 0.95, n_skipped: int = 0) -> NormTable:
    """Return the table of norms from nested draws with replacement.

    Args:
        batch_sizes: in rising order.
        sq_norms: |g_B|² of the mean loss, shape (streams, sizes).
        level: coverage of the intervals; all errors are taken over streams.
        n_skipped: streams left out for a gradient that was not finite.
    """
    sizes, norms = numpy.array(batch_sizes, dtype=float), numpy.sqrt(sq_norms)
    covariance = numpy.atleast_2d(numpy.cov(sq_norms, rowvar=False)) / len(sq_norms)
    law = fit_gradient_norm_law(sizes, sq_norms.mean(axis=0), covariance)
    limits = law.noise_scale_limits()
    scale = law.trace / law.signal if law.signal > 0 and law.trace >= 0 else None
    means = norms.mean(axis=0)
    rows = tuple(
        _row(size, norms[:, k], float(means[-1]), law.mean_sq_norm(size), scale) for k, size in enumerate(batch_sizes)
    )
    log_sds = _log_sds(norms)
    return NormTable(
        n_draws=len(norms),
        reference_batch_size=batch_sizes[-1],
        rows=rows,
        signal=law.signal,
        trace=law.trace,
        noise_scale=scale,
        noise_scale_low=None if limits is None else limits[0],
        noise_scale_high=None if limits is None else limits[1],
        effective_rank=effective_rank(rows[0].sd / rows[0].mean),
        log_mean_ratio=_jackknifed(_log_means(norms), level),
        log_sd_ratio=_jackknifed(log_sds, level),
        log_relative_sd_ratio=_jackknifed(log_sds - _log_means(norms), level),
        n_skipped=n_skipped,
    )


def _row(batch_size: int, norms: Array, reference_mean: float, law: float, scale: float | None) -> NormRow:
    moments, squares = moments_of(norms), moments_of(norms**2)
    low, median, high = (float(value) for value in numpy.quantile(norms, QUANTILES))
    return NormRow(
        batch_size=batch_size,
        mean=moments.mean,
        sd=moments.sd,
        skewness=moments.skewness,
        excess_kurtosis=moments.excess_kurtosis,
        low=low,
        median=median,
        high=high,
        sum_mean=batch_size * moments.mean,
        sum_sd=batch_size * moments.sd,
        rescaled_sd=moments.sd * reference_mean / moments.mean,
        law_ratio=squares.mean / law,
        law_error=squares.mean_error / law,
        regime=norm_regime(batch_size, scale) if scale else "",
    )


def _jackknifed(logs: Array, level: float) -> Interval:
    """Return ln(largest/smallest) with its interval, from the logarithms with all streams and without each."""
    ratios = logs[:, -1] - logs[:, 0]
    return jackknife_interval(float(ratios[0]), ratios[1:], level=level)


def _log_means(norms: Array) -> Array:
    """Return ln(mean) by size: of all streams in the first row, and without each of them in the others."""
    n, total = len(norms), norms.sum(axis=0)
    return numpy.asarray(numpy.log(numpy.vstack([total / n, (total - norms) / (n - 1)])))


def _log_sds(norms: Array) -> Array:
    """Return ln(standard deviation) by size, in rows as `_log_means`."""
    n, about = len(norms), norms - norms.mean(axis=0)
    squares = (about**2).sum(axis=0)
    # Leaving out x moves the mean of the others by -x/(n - 1), which takes x² n/(n - 1) from the sum of squares.
    without = (squares - about**2 * n / (n - 1)) / (n - 2)
    return numpy.asarray(0.5 * numpy.log(numpy.vstack([squares / (n - 1), without])))
