"""Gaussian gradients in 40 dimensions with known moments, for the tests of the noise scale."""

import numpy

VARIANCES = 1 / numpy.arange(1.0, 41.0)
MEAN = numpy.zeros(40)
MEAN[3], MEAN[10] = 0.4, 0.2
TRACE, SIGNAL = float(VARIANCES.sum()), 0.2


def gaussian_blocks(generator, mean, shape, micro_batches, size):
    """Return trace and signal of blocks of that shape, by the textbook scatter of their micro-batches."""
    gradients = generator.normal(mean, numpy.sqrt(VARIANCES / size), (*shape, micro_batches, 40))
    whole = gradients.mean(axis=-2)
    trace = size * ((gradients - whole[..., None, :]) ** 2).sum(axis=(-1, -2)) / (micro_batches - 1)
    return trace, (whole**2).sum(axis=-1) - trace / (size * micro_batches)
