"""Maximum and limits of a likelihood in one parameter, the others maximized away."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]
LogLikelihood = Callable[[Array], Array]

GRID = 61
NEW_POINTS = 24
PASSES = 2


@dataclass(frozen=True, slots=True)
class Profile:
    """The log-likelihood where it was evaluated, in rising order of the parameter, and its maximum.

    `best` is -inf or inf where the maximum is at an end of the range.
    """

    positions: Array
    values: Array
    best: float

    @property
    def highest(self) -> float:
        """Return the largest log-likelihood."""
        return float(self.values.max())


def trace_profile(log_likelihood: LogLikelihood, low: float, high: float) -> Profile:
    """Return the profile on a grid from `low` to `high`, refined around its maximum.

    Args:
        log_likelihood: takes parameters of shape (m,) and returns as many values.
        low, high: the range; a grid of 61 points must tell its maximum from others.
    """
    positions = numpy.linspace(low, high, GRID)
    values = log_likelihood(positions)
    for _ in range(PASSES):
        top = int(values.argmax())
        if top in (0, len(values) - 1):
            return Profile(positions, values, math.inf if top else -math.inf)
        new = _between(positions[top - 1], positions[top + 1])
        positions, values = _merge(positions, values, new, log_likelihood(new))
    return Profile(positions, values, _vertex(positions, values, int(values.argmax())))


def profile_limits(log_likelihood: LogLikelihood, profile: Profile, drop: float) -> tuple[float, float]:
    """Return the outermost parameters at which the log-likelihood lies `drop` below its maximum.

    -inf or inf where it does not fall that far within the range.
    """
    positions, values = profile.positions, profile.values
    floor = profile.highest - drop
    inside = numpy.flatnonzero(values >= floor)
    cells = [(first - 1, first) for first in inside[:1] if first > 0]
    cells += [(last, last + 1) for last in inside[-1:] if last < len(values) - 1]
    if not cells:
        return -math.inf, math.inf
    new = numpy.concatenate([_between(positions[left], positions[right]) for left, right in cells])
    positions, values = _merge(positions, values, new, log_likelihood(new))
    inside = numpy.flatnonzero(values >= floor)
    # The root of the drop is nearly linear in the parameter, the drop itself is not.
    roots = numpy.sqrt(profile.highest - numpy.minimum(values, profile.highest)) - math.sqrt(drop)
    first, last = int(inside[0]), int(inside[-1])
    low = _crossing(positions, roots, first - 1) if first > 0 else -math.inf
    high = _crossing(positions, roots, last) if last < len(values) - 1 else math.inf
    return low, high


def _between(low: float, high: float) -> Array:
    return numpy.linspace(low, high, NEW_POINTS + 2)[1:-1]


def _merge(positions: Array, values: Array, new: Array, new_values: Array) -> tuple[Array, Array]:
    together = numpy.concatenate([positions, new])
    unique, first = numpy.unique(together, return_index=True)
    return unique, numpy.concatenate([values, new_values])[first]


def _vertex(positions: Array, values: Array, top: int) -> float:
    """Return the place of the maximum of the parabola through the top and its neighbors."""
    if top in (0, len(values) - 1):
        return float(positions[top])
    left, right = positions[[top - 1, top + 1]] - positions[top]
    fall_left, fall_right = values[top] - values[[top - 1, top + 1]]
    bend = fall_left / left - fall_right / right
    if bend >= 0:
        return float(positions[top])
    slope = fall_left * right / left - fall_right * left / right
    return float(positions[top] + 0.5 * slope / bend)


def _crossing(positions: Array, roots: Array, left: int) -> float:
    """Return where the line between two neighbors is zero."""
    share = roots[left] / (roots[left] - roots[left + 1])
    return float(positions[left] + share * (positions[left + 1] - positions[left]))
