"""How far a training curve has come, measured by another: where a run that was ended early would have got to.

At small learning rates a curve is another one stretched in time, t → t e^Δ. With u(t) the examples after which the
reference curve was where this one is after t, ln t - ln u(t) is then Δ at every t, and the target comes Δ later than
the reference has it. Where the noise of too high a rate holds a curve up, u falls back: d ln u/d ln t is below 1.
"""

import math
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike, NDArray

Array = NDArray[numpy.float64]

# The pace is a slope over the last factor of 4 in examples, from at least 3 evaluations.
SPAN, FEWEST = 4.0, 3


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: at `log_examples`, where the reference was after `log_matched`, and moving at `pace`.

    The pace, d ln u/d ln t, is 1 for a curve that is the reference stretched in time, less where it levels off.
    """

    log_examples: float
    log_matched: float
    pace: float


def matched_progress(
    examples: ArrayLike,
    metric: ArrayLike,
    reference_examples: ArrayLike,
    reference_metric: ArrayLike,
    *,
    higher_is_better: bool = False,
) -> Progress | None:
    """Return the progress of a run along a reference curve, None where the curves have no values in common.

    Of both curves the best value so far counts. Positions of 0, the untrained model, are left out.

    >>> slow = matched_progress([0, 10, 20, 40], [8, 7, 6, 4], [0, 5, 10, 20, 40], [8, 7, 6, 4, 2])
    >>> round(math.exp(slow.log_examples - slow.log_matched), 3), round(slow.pace, 3)
    (2.0, 1.0)
    """
    sign = -1.0 if higher_is_better else 1.0
    t, value = _falling(examples, metric, sign)
    u, reference = _falling(reference_examples, reference_metric, sign)
    is_new = numpy.concatenate([[True], numpy.diff(reference) < 0]) if len(u) else numpy.zeros(0, dtype=bool)
    u, reference = u[is_new], reference[is_new]
    if len(u) < 2 or not len(t):
        return None
    inside = (value <= reference[0]) & (value >= reference[-1])
    if not inside.any() or value[-1] < reference[-1]:
        return None
    log_t, log_u = numpy.log(t[inside]), numpy.interp(-value[inside], -reference, numpy.log(u))
    end = float(numpy.log(t[-1]))
    return Progress(end, float(log_u[-1]), _pace(log_t, log_u))


def _falling(examples: ArrayLike, metric: ArrayLike, sign: float) -> tuple[Array, Array]:
    x, y = numpy.asarray(examples, dtype=float), sign * numpy.asarray(metric, dtype=float)
    kept = (x > 0) & numpy.isfinite(y)
    return x[kept], numpy.minimum.accumulate(y[kept])


def _pace(log_t: Array, log_u: Array) -> float:
    late = log_t >= log_t[-1] - math.log(SPAN)
    if late.sum() < FEWEST:
        return 1.0
    centered = log_t[late] - log_t[late].mean()
    return float(centered @ log_u[late] / (centered @ centered))
