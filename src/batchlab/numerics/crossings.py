"""When a training curve first reaches a target: the two evaluations it happened between, or why it did not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Array = NDArray[numpy.float64]

USABLE = ("reached", "not_reached")
# A plateau is judged from at least this many evaluations, and by where it leads within this factor of the budget.
FEWEST_ON_PLATEAU = 5
HORIZON = 10.0
PLATEAU_LEVEL = 0.95
# The scatter of a curve is seen over the last factor of 4 in position, about a parabola through 6 evaluations or more.
SCATTER_SPAN, FEWEST_FOR_SCATTER, MOST_SCATTER = 4.0, 6, 1.0


@dataclass(frozen=True, slots=True)
class Crossing:
    """The limits of the first crossing, in the unit of the curve's positions (examples or steps).

    `status` is reached (in (low, high]; low is 0 where the first evaluation was there), not_reached (right-censored:
    high is inf), plateaued (not reached, and the curve no longer moves there), diverged (a value that is not finite
    came first) or trivial (the untrained model is there). Only the first two say something of the time to the target.
    `point` is the crossing interpolated between the two evaluations; None unless reached.
    """

    low: float
    high: float
    status: str
    point: float | None = None

    @property
    def usable(self) -> bool:
        """Return whether the crossing enters the fit of a trade-off."""
        return self.status in USABLE


def first_at_target(metric: ArrayLike, target: float, *, higher_is_better: bool = False, held: int = 1) -> int | None:
    """Return the first evaluation from which on `held` in a row are at the target, None where there are none.

    >>> first_at_target([0.9, 0.1, 0.5, 0.1, 0.1], 0.2), first_at_target([0.9, 0.1, 0.5, 0.1, 0.1], 0.2, held=2)
    (1, 3)
    """
    y = numpy.asarray(metric, dtype=float)
    there = (y >= target) if higher_is_better else (y <= target)
    rows = numpy.lib.stride_tricks.sliding_window_view(there, held).all(axis=1) if len(y) >= held else there[:0]
    found = numpy.flatnonzero(rows)
    return int(found[0]) if len(found) else None


def first_crossing(
    positions: ArrayLike,
    metric: ArrayLike,
    target: float,
    *,
    higher_is_better: bool = False,
    window: float = 0.0,
    held: int = 1,
) -> Crossing:
    """Return when a curve, smoothed, first reaches the target.

    The point is interpolated in ln(position), or in position from 0 on. A curve that does not arrive has plateaued if
    a line in ln(position) through the evaluations of the last half of its budget, at the upper 95 % limit of its
    slope, misses the target even at ten times the budget; with fewer than 5 evaluations there it is censored only. A
    value that is not finite ends the curve: what was reached before counts.

    Noise crosses early, and the more so the more often it is looked at: give all batch sizes one window and the same
    positions *in examples*, or ask that the target be held. Evaluations at the end of the curve, after which it
    stays at the target, count whatever their number: nothing speaks against them.

    Args:
        positions: shape (n,), rising, examples or steps; 0 is the untrained model.
        metric: shape (n,).
        target: in the metric's unit.
        higher_is_better: direction of the metric.
        window: width of the smoothing, in the unit of the positions; see `smooth_curve`.
        held: at how many evaluations in a row the curve must be at the target.

    >>> first_crossing([0, 100, 200, 400], [0.9, 0.5, 0.3, 0.1], 0.2)
    Crossing(low=200.0, high=400.0, status='reached', point=282.84...)
    """
    x, y = _curve(positions, metric)
    y, target = (-y, -target) if higher_is_better else (y, target)
    finite = numpy.isfinite(y)
    end = len(y) if finite.all() else int(finite.argmin())
    x, smooth = x[:end], smooth_curve(x[:end], y[:end], window)
    first = _first_held(smooth, target, held, complete=end == len(y))
    if first is None:
        last = float(x[-1]) if end else 0.0
        if end < len(y):
            return Crossing(last, math.inf, "diverged")
        return Crossing(last, math.inf, "plateaued" if _has_plateaued(x, y, target) else "not_reached")
    if x[first] == 0:
        return Crossing(0.0, 0.0, "trivial")
    if first == 0:
        return Crossing(0.0, float(x[0]), "reached", float(x[0]))
    return Crossing(float(x[first - 1]), float(x[first]), "reached", _interpolate(x, smooth, first, target))


def crossing_scatter(positions: ArrayLike, metric: ArrayLike) -> float:
    """Return the standard deviation of ln(position) of a crossing at the end of a curve, from the scatter of the curve.

    Where the curve is noisy and nearly flat it first gets to a target by chance. Over the last factor of 4 in position
    ln(metric) (the metric itself where it is not positive throughout) scatters by s about a parabola in ln(position),
    and falls or rises by b on average: the crossing is known to s/|b|, and to 1 at worst, which is said of a curve
    that turns back. 0 with fewer than 6 evaluations there.

    Args:
        positions: shape (n,), rising; 0 is the untrained model and left out.
        metric: shape (n,), up to the crossing.

    >>> crossing_scatter([1, 2, 4, 8, 16, 32, 64], [64.0, 32.0, 16.0, 8.0, 4.0, 2.0, 1.0]) < 1e-9
    True
    """
    x, y = _curve(positions, metric)
    x, y = x[x > 0], y[x > 0]
    x, y = numpy.log(x), numpy.log(y) if len(y) and y.min() > 0 else y
    recent = x >= x[-1] - math.log(SCATTER_SPAN) * (1 + 1e-9) if len(x) else x > 0
    x, y = x[recent], y[recent]
    if len(x) < FEWEST_FOR_SCATTER or not numpy.isfinite(y).all():
        return 0.0
    place = x - x.mean()
    residual = y - numpy.polynomial.Polynomial.fit(place, y, 2)(place)
    slope = float(place @ y / (place @ place))
    towards_end = float(y[-1] - y[0])
    scatter = math.sqrt(float(residual @ residual) / (len(x) - 3))
    if slope * towards_end <= 0:
        return MOST_SCATTER if scatter > 0 else 0.0
    return min(MOST_SCATTER, scatter / abs(slope))


def smooth_curve(positions: ArrayLike, metric: ArrayLike, window: float) -> Array:
    """Return the mean of the evaluations within window/2 to both sides of each, in the unit of the positions.

    Near an end the window shrinks on both sides alike, so that a straight line stays what it is where evaluations
    are evenly spaced.

    >>> smooth_curve([0, 1, 2, 3], [0.0, 3.0, 0.0, 3.0], 2.0).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    x, y = _curve(positions, metric)
    if not 0 <= window < math.inf:
        raise ValueError(f"`window` must be finite and not negative, got {window}; use 0.0 for a curve as it is.")
    if not len(x) or window == 0:
        return y.copy()
    # Positions may be rounded: a neighbor exactly at the edge of the window is inside.
    half = numpy.minimum(window / 2, numpy.minimum(x - x[0], x[-1] - x)) * (1 + 1e-9)
    first, last = numpy.searchsorted(x, x - half, side="left"), numpy.searchsorted(x, x + half, side="right")
    return numpy.array([y[start:stop].mean() for start, stop in zip(first, last, strict=True)])


def in_steps(crossing: Crossing, batch_size: float) -> Crossing:
    """Return a crossing in steps of one in examples.

    >>> in_steps(Crossing(640.0, 1280.0, "reached", 900.0), 64)
    Crossing(low=10.0, high=20.0, status='reached', point=14.0625)
    """
    point = None if crossing.point is None else crossing.point / batch_size
    return Crossing(crossing.low / batch_size, crossing.high / batch_size, crossing.status, point)


def steps_to_fit(crossings: Mapping[float, list[Crossing]]) -> tuple[Array, Array]:
    """Return batch sizes of shape (n,) and limits of shape (n, 2) for `fit_tradeoff`, from crossings in steps.

    One entry a run that reached the target or ran out of its budget; the others are infeasible and left out.

    Args:
        crossings: {batch size: the crossings of its runs, in steps}.
    """
    runs = [(size, run.low, run.high) for size, found in crossings.items() for run in found if run.usable]
    table = numpy.array(runs, dtype=float).reshape(-1, 3)
    return table[:, 0], table[:, 1:]


def _first_held(y: Array, target: float, held: int, *, complete: bool) -> int | None:
    """Return where the curve first is at the target, for `held` evaluations or, if it is complete, to its end."""
    first = first_at_target(y, target, held=held)
    if first is None and complete and len(y) and y[-1] <= target:
        above = numpy.flatnonzero(y > target)
        return int(above[-1]) + 1 if len(above) else 0
    return first


def _interpolate(x: Array, y: Array, first: int, target: float) -> float:
    share = float((y[first - 1] - target) / (y[first - 1] - y[first]))
    low, high = float(x[first - 1]), float(x[first])
    return low ** (1 - share) * high**share if low > 0 else share * high


def _has_plateaued(x: Array, y: Array, target: float) -> bool:
    late = (x >= x[-1] / 2) & (x > 0)
    if late.sum() < FEWEST_ON_PLATEAU:
        return False
    places = numpy.log(x[late] / x[-1])
    centered = places - places.mean()
    spread = float(centered @ centered)
    slope = float(centered @ y[late]) / spread
    residual = y[late] - y[late].mean() - slope * centered
    error = math.sqrt(float(residual @ residual) / (len(places) - 2) / spread)
    steepest = slope - float(stdtrit(len(places) - 2, PLATEAU_LEVEL)) * error
    return bool(y[late].mean() + steepest * (math.log(HORIZON) - places.mean()) > target)


def _curve(positions: ArrayLike, metric: ArrayLike) -> tuple[Array, Array]:
    x, y = numpy.asarray(positions, dtype=float), numpy.asarray(metric, dtype=float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            "`positions` and `metric` must be one-dimensional and of one length, "
            f"got shapes {x.shape} and {y.shape}; pass one metric an evaluation."
        )
    if len(x) and not (numpy.isfinite(x).all() and x[0] >= 0 and (numpy.diff(x) > 0).all()):
        raise ValueError(
            f"`positions` must rise from 0 or more, got {x.tolist()}; pass the examples or steps at each evaluation."
        )
    return x, y
