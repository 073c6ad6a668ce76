"""When a curve over time first falls to a target, found without visiting every step."""

import math
from collections.abc import Callable, Iterable

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]


def first_step_below(lower_bound: Callable[[float, float], float], target: float, most_steps: int) -> int | None:
    """Return the first step at which a curve is at most `target`; None if never, or not within `most_steps`.

    Intervals of steps, each twice as long as the one before, are halved where the bound does not exclude them. For a
    falling curve with the bound value(last) this is bisection; a curve that dips and rises is searched as exactly.

    Args:
        lower_bound: of the curve from a first to a last step, the curve itself where both are one; the last step may
            be infinite.
        target: the value to reach.
        most_steps: where to give up.

    >>> first_step_below(lambda first, last: 1 / (last + 1), 0.01, 1000)
    99
    """
    if lower_bound(0, most_steps) > target:
        return None
    first, last = 0, 0
    while first <= most_steps and lower_bound(first, math.inf) <= target:
        found = _search(lower_bound, target, first, min(last, most_steps))
        if found is not None:
            return found
        first, last = last + 1, 2 * last + 1
    return None


def first_step_in_chunks(chunks: Iterable[tuple[Array, float]], target: float, most_steps: int) -> int | None:
    """Return the same from consecutive stretches of the curve, each with a floor under all that follow it.

    >>> first_step_in_chunks([(numpy.array([3.0, 2.0]), 0.0), (numpy.array([1.0, 0.5]), 0.0)], 1.0, 100)
    2
    """
    start = 0
    for values, floor in chunks:
        below = numpy.flatnonzero(values <= target)
        if below.size:
            step = start + int(below[0])
            return step if step <= most_steps else None
        start += len(values)
        if start > most_steps or floor > target or not math.isfinite(values[-1]):
            return None
    return None


def _search(lower_bound: Callable[[float, float], float], target: float, first: int, last: int) -> int | None:
    if lower_bound(first, last) > target:
        return None
    if first == last:
        return first
    middle = (first + last) // 2
    found = _search(lower_bound, target, first, middle)
    return found if found is not None else _search(lower_bound, target, middle + 1, last)
