"""Steps to a target by batch size as measured, without a curve through them."""

import math
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from batchlab.numerics.censored_normal import fit_censored
from batchlab.numerics.step_counts import StepCounts

Array = NDArray[numpy.float64]


@dataclass(frozen=True, slots=True)
class MeasuredCurve:
    """Batch sizes in rising order, the median steps and the number of runs of each, censored ones included."""

    batch_sizes: tuple[float, ...]
    steps: tuple[float, ...]
    n_runs: tuple[int, ...]

    def overhead_batch_size(self, overhead: float) -> float:
        """Return where examples first exceed those at the smallest size by a share; inf if within no size tried.

        Linear in ln E by ln B between the values of `monotone_examples`. The smallest size stands for the limit of
        small batches, so where its own overhead is not negligible the result is too large.
        """
        x, y = numpy.log(self.batch_sizes), numpy.log(monotone_examples(self))
        target = y[0] + math.log1p(overhead)
        above = numpy.flatnonzero(y > target)
        if not len(above):
            return math.inf
        right = int(above[0])
        share = (target - y[right - 1]) / (y[right] - y[right - 1])
        return math.exp(x[right - 1] + share * (x[right] - x[right - 1]))


def measured_curve(counts: StepCounts) -> tuple[MeasuredCurve, float]:
    """Return one mean of ln(steps) a batch size, by maximum likelihood, and the log-likelihood.

    Batch sizes without an informative run have no mean and are left out; they would fit exactly, with likelihood 1.
    """
    sizes = counts.sizes
    kept = numpy.isin(counts.batch_sizes, sizes)
    design = (counts.batch_sizes[kept, None] == sizes).astype(float)
    fit = fit_censored(counts.low[kept], counts.high[kept], numpy.zeros((1, int(kept.sum()))), design)
    curve = MeasuredCurve(
        tuple(sizes.tolist()),
        tuple(numpy.exp(fit.coefficients[0]).tolist()),
        tuple(design.sum(axis=0).astype(int).tolist()),
    )
    return curve, float(fit.log_likelihood[0])


def monotone_examples(curve: MeasuredCurve) -> tuple[float, ...]:
    """Return the examples to the target, made not to fall with the batch size, by pooling neighbors that do.

    The least-squares rising sequence in ln E, weighted by the runs (pool adjacent violators).

    >>> [round(value, 6) for value in monotone_examples(MeasuredCurve((1.0, 2.0, 4.0), (16.0, 2.0, 4.0), (1, 1, 1)))]
    [8.0, 8.0, 16.0]
    """
    blocks: list[tuple[float, int, int]] = []
    for size, steps, runs in zip(curve.batch_sizes, curve.steps, curve.n_runs, strict=True):
        block = (math.log(size * steps), runs, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, weight, count = blocks.pop()
            total = weight + block[1]
            block = ((mean * weight + block[0] * block[1]) / total, total, count + block[2])
        blocks.append(block)
    return tuple(math.exp(mean) for mean, _, count in blocks for _ in range(count))
