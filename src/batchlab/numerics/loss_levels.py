"""A noisy, falling loss as a curve of levels: how many examples a run needed to come to each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

Array = NDArray[numpy.float64]

# A level is the mean over this last share of the examples seen so far: one evaluation alone would be luck.
WINDOW = 0.25
LOCAL = 1.5


@dataclass(frozen=True, slots=True)
class Level:
    """The loss that a run had come to after so many examples, with the sd of that mean."""

    examples: float
    loss: float
    loss_sd: float


@dataclass(frozen=True, slots=True, eq=False)
class LossCurve:
    """The falling curve nearest to the losses in squares (isotonic regression): no shape and no window is assumed.

    `positions` are the examples at each evaluation, without the untrained model; `noise` is the losses' sd about it.
    """

    positions: Array
    levels: Array
    losses: Array
    noise: float

    def level_at(self, examples: float) -> Level:
        """Return the mean loss over the last quarter of so many examples, placed at the middle of that window."""
        inside = (self.positions > (1 - WINDOW) * examples) & (self.positions <= examples)
        if not inside.any():
            inside = self.positions == self.positions[self.positions <= examples].max(initial=self.positions[0])
        middle = float(numpy.exp(numpy.log(self.positions[inside]).mean()))
        return Level(middle, float(self.losses[inside].mean()), self.noise / math.sqrt(inside.sum()))

    def examples_to(self, loss: float) -> float:
        """Return the examples after which the curve is at a loss, interpolated in their logarithm; inf if it never is.

        The first evaluation's position where that is there already: an upper limit.
        """
        there = numpy.flatnonzero(self.levels <= loss)
        if not len(there):
            return math.inf
        first = int(there[0])
        if first == 0 or self.levels[first - 1] == self.levels[first]:
            return float(self.positions[first])
        share = (self.levels[first - 1] - loss) / (self.levels[first - 1] - self.levels[first])
        low, high = numpy.log(self.positions[first - 1 : first + 1])
        return float(numpy.exp(low + share * (high - low)))

    def loss_after(self, examples: float) -> float:
        """Return the curve's loss after so many examples, interpolated in their logarithm; at the ends, that there."""
        return float(numpy.interp(math.log(examples), numpy.log(self.positions), self.levels))

    def slope_at(self, examples: float) -> float:
        """Return by how much the loss falls per e-fold of examples about a place; 0 where it has leveled off."""
        low, high = examples / LOCAL, min(examples * LOCAL, float(self.positions[-1]))
        before, after = numpy.interp(numpy.log([low, high]), numpy.log(self.positions), self.levels)
        return float((before - after) / math.log(high / low)) if high > low else 0.0


def loss_curve(positions: Sequence[float], losses: Sequence[float]) -> LossCurve:
    """Return the falling curve through losses at rising positions above 0; values that are not finite end it.

    >>> curve = loss_curve([1, 2, 4, 8], [1.0, 0.5, 0.6, 0.2])
    >>> curve.levels.tolist(), round(curve.examples_to(0.3), 2)
    ([1.0, 0.55, 0.55, 0.2], 6.56)
    """
    x, y = numpy.asarray(positions, dtype=float), numpy.asarray(losses, dtype=float)
    finite = numpy.isfinite(y)
    end = len(y) if finite.all() else int(finite.argmin())
    x, y = x[:end], y[:end]
    if not end:
        return LossCurve(x, y, y, math.nan)
    levels = numpy.asarray(isotonic_regression(y, increasing=False).x, dtype=float)
    pooled = max(1.0, float(end - len(numpy.unique(levels))))
    return LossCurve(x, levels, y, float(numpy.sqrt(((y - levels) ** 2).sum() / pooled)))
