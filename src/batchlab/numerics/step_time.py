"""Seconds of a step by batch size: a floor, then a line, fitted to a measured table that stays at hand."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from batchlab.numerics.time_to_target import StepTime

Floats = NDArray[numpy.float64]

# With fewer sizes a floor and a line go through all points, whatever they are.
FEWEST_SIZES_FOR_A_FLOOR = 4
# A model is believed where it is this close to what was measured.
BELIEVED_DIFFERENCE = 0.05
# The rise of a line through noise alone has a standard error of about 1.5 mean absolute residuals with 8 sizes.
RISE_IN_RESIDUALS = 3


@dataclass(frozen=True, slots=True)
class StepTimeModel:
    """A fitted t(B) = max(t0, a + b B) in seconds, beside the table it was fitted to.

    `a` is what a step takes whatever its size, `b` what an example adds, `t0` a floor below which no step is faster, 0
    where there is none. `residuals` are t(B)/measured - 1. Flags: `model_differs` (somewhere by more than 5 %: see
    `expected_seconds`), `edge_of_range` (b is 0, or lost in the scatter: no size measured is large enough to cost).
    """

    a: float
    b: float
    t0: float
    batch_sizes: tuple[float, ...]
    measured_s: tuple[float, ...]
    residuals: tuple[float, ...]
    flags: tuple[str, ...]

    @property
    def knee(self) -> float:
        """Return the batch size (t0 - a)/b from which examples cost time; 0 where they always do, inf where never."""
        if self.b == 0:
            return math.inf
        return max(0.0, (self.t0 - self.a) / self.b)

    @property
    def step_time(self) -> StepTime:
        """Return the model in the form that `fastest_batch_size` takes."""
        return StepTime(self.a, self.b, self.t0)

    def seconds(self, batch_size: float) -> float:
        """Return the seconds of a step by the model."""
        return self.step_time.seconds(batch_size)


def fit_step_time(batch_sizes: Sequence[float], seconds: Sequence[float]) -> StepTimeModel:
    """Return t(B) = max(t0, a + b B), a >= 0, b >= 0, with the least mean absolute relative error.

    A least absolute fit with two parameters goes through two points, or through one where a limit holds, and the floor
    through one: all such lines are tried with all such floors, which tries every knee. A floor is kept only where it
    divides the error by n^(1/n) or more, the Bayesian criterion of Laplace errors for its height and its end; noise
    alone would else grow a knee. Relative errors, because a step of a large batch takes 1000 times that of a small one.

    Args:
        batch_sizes: two or more, all different.
        seconds: of a step, one a batch size: the median over blocks.

    >>> model = fit_step_time([30, 60, 120, 240, 480], [10, 10, 10, 16, 28])
    >>> round(model.a, 6), round(model.b, 6), model.t0, round(model.knee, 6)
    (4.0, 0.05, 10.0, 120.0)
    """
    sizes, times = _checked(batch_sizes, seconds)
    lines = _lines(sizes, times)
    alone, error = _best(sizes, times, lines, numpy.zeros(1))
    best = alone
    if len(sizes) >= FEWEST_SIZES_FOR_A_FLOOR and error > 1e-12:
        floored, lower = _best(sizes, times, lines, times)
        if lower * len(sizes) ** (1 / len(sizes)) < error:
            best = floored
    a, b, t0 = best
    residuals = numpy.maximum(t0, a + b * sizes) / times - 1
    return StepTimeModel(a, b, t0, _tuple(sizes), _tuple(times), _tuple(residuals), _flags(best, sizes, residuals))


def expected_seconds(model: StepTimeModel, batch_size: float) -> float:
    """Return the seconds of a step as well as they are known.

    Where model and table agree within 5 % that is the model. Elsewhere it is the table, interpolated linearly, as time
    is where it is linear; beyond its ends the model goes on from there, at the ratio they had.

    >>> model = fit_step_time([1, 2, 4, 8], [1.0, 1.0, 1.0, 1.0])
    >>> expected_seconds(model, 16)
    1.0
    """
    sizes, times = numpy.array(model.batch_sizes), numpy.array(model.measured_s)
    inside = min(max(batch_size, model.batch_sizes[0]), model.batch_sizes[-1])
    measured = float(numpy.interp(inside, sizes, times))
    fitted = model.seconds(batch_size)
    ratio = measured / model.seconds(inside)
    return fitted if abs(1 / ratio - 1) <= BELIEVED_DIFFERENCE else fitted * ratio


def step_time_draws(
    batch_sizes: Sequence[float], blocks: Sequence[Sequence[float]], *, n_draws: int = 200, seed: int = 0
) -> tuple[StepTimeModel, ...]:
    """Return fits to resampled blocks: the spread of whatever is computed from them is its uncertainty.

    Each draw takes, at every batch size, as many blocks with replacement as there are, and fits their medians, knee and
    all.

    Args:
        batch_sizes: two or more, all different.
        blocks: seconds of a step in each block of steps, at least one a batch size; five or more for a fair spread.
        n_draws: how many fits.
        seed: of the resampling.
    """
    generator = numpy.random.default_rng(seed)
    columns = [
        numpy.median(generator.choice(numpy.asarray(one, dtype=float), (n_draws, len(one))), axis=1) for one in blocks
    ]
    return tuple(fit_step_time(batch_sizes, row) for row in numpy.column_stack(columns).tolist())


def _lines(sizes: Floats, times: Floats) -> Floats:
    """Return the (a, b) of all lines through two points, and of those with a = 0 or b = 0 through one."""
    pairs = numpy.array(list(itertools.combinations(range(len(sizes)), 2)))
    first, second = pairs[:, 0], pairs[:, 1]
    b = (times[second] - times[first]) / (sizes[second] - sizes[first])
    a = times[first] - b * sizes[first]
    # Rounding must not lose the line through the origin.
    a = numpy.where(abs(a) < 1e-12 * times[first], 0.0, a)
    zeros = numpy.zeros(len(sizes))
    every = numpy.concatenate(
        [numpy.column_stack([a, b]), numpy.column_stack([zeros, times / sizes]), numpy.column_stack([times, zeros])]
    )
    return every[(every >= 0).all(axis=1)]


def _best(sizes: Floats, times: Floats, lines: Floats, floors: Floats) -> tuple[tuple[float, float, float], float]:
    """Return (a, b, t0) with the least mean relative error among lines and floors, and that error."""
    line_s = lines[:, 0, None] + lines[:, 1, None] * sizes
    fitted = numpy.maximum(floors[None, :, None], line_s[:, None, :])
    errors = numpy.abs(fitted / times - 1).mean(axis=2)
    line, floor = numpy.unravel_index(int(errors.argmin()), errors.shape)
    return (float(lines[line, 0]), float(lines[line, 1]), float(floors[floor])), float(errors[line, floor])


def _flags(fit: tuple[float, float, float], sizes: Floats, residuals: Floats) -> tuple[str, ...]:
    a, b, t0 = fit
    rise = max(t0, a + b * sizes[-1]) / max(t0, a + b * sizes[0]) - 1
    flags = {
        "model_differs": bool((abs(residuals) > BELIEVED_DIFFERENCE).any()),
        "edge_of_range": b == 0 or rise < RISE_IN_RESIDUALS * abs(residuals).mean(),
    }
    return tuple(name for name, holds in flags.items() if holds)


def _checked(batch_sizes: Sequence[float], seconds: Sequence[float]) -> tuple[Floats, Floats]:
    sizes, times = numpy.asarray(batch_sizes, dtype=float), numpy.asarray(seconds, dtype=float)
    good = sizes.shape == times.shape and sizes.ndim == 1 and len(set(sizes.tolist())) == len(sizes) >= 2
    if not good or not all((part > 0).all() and numpy.isfinite(part).all() for part in (sizes, times)):
        raise ValueError(
            "A step time is fitted to two or more different batch sizes with one positive number of seconds each, got "
            f"{sizes.tolist()} and {times.tolist()}; measure more batch sizes, and take the median over blocks."
        )
    order = sizes.argsort()
    return sizes[order], times[order]


def _tuple(values: Floats) -> tuple[float, ...]:
    return tuple(map(float, values))
