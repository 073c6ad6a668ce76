"""Steps to a target at several batch sizes, exact or known only to lie between two limits."""

import math
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike, NDArray

from batchlab.numerics.censored_normal import informative

Array = NDArray[numpy.float64]


@dataclass(frozen=True, slots=True)
class StepCounts:
    """One entry a run: its batch size and the limits of ln(steps); low = high where exact, high = inf if never."""

    batch_sizes: Array
    low: Array
    high: Array

    @property
    def informative(self) -> NDArray[numpy.bool_]:
        """Return which runs have two finite limits."""
        return informative(self.low, self.high)

    @property
    def sizes(self) -> Array:
        """Return the different batch sizes that have an informative run, in rising order."""
        return numpy.unique(self.batch_sizes[self.informative])


def step_counts(batch_sizes: ArrayLike, steps: ArrayLike, censored: ArrayLike | None = None) -> StepCounts:
    """Return the runs as limits of ln(steps), checked.

    Args:
        batch_sizes: shape (n,), one entry a run; a batch size repeats for each of its seeds.
        steps: shape (n,), or (n, 2) for limits [low, high]: equal where exact, low 0 where the target was reached
            before the first evaluation, high inf where it was not reached in low steps.
        censored: shape (n,), true where the target was not reached in that many steps (in `low` of a pair).
    """
    sizes, counts = numpy.asarray(batch_sizes, dtype=float), numpy.asarray(steps, dtype=float)
    never = numpy.zeros(len(counts), dtype=bool) if censored is None else numpy.asarray(censored, dtype=bool)
    if sizes.ndim != 1 or never.shape != sizes.shape or counts.shape not in (sizes.shape, (*sizes.shape, 2)):
        raise ValueError(
            "`steps` must have one value or one pair [low, high] a batch size and `censored` one value, "
            f"got shapes {sizes.shape}, {counts.shape} and {never.shape}; pass one entry a run."
        )
    low, high = (counts, counts) if counts.ndim == 1 else counts.T
    high = numpy.where(never, math.inf, high)
    _check(sizes, low, high)
    with numpy.errstate(divide="ignore"):
        found = StepCounts(sizes, numpy.log(low), numpy.log(high))
    if len(found.sizes) < 2:
        raise ValueError(
            "The trade-off needs runs that reached the target at 2 or more batch sizes, "
            f"got them at {len(found.sizes)}; choose an easier target or a longer budget."
        )
    return found


def _check(sizes: Array, low: Array, high: Array) -> None:
    good = numpy.isfinite(sizes) & (sizes > 0) & numpy.isfinite(low) & (low >= 0) & (high >= low) & (high > 0)
    if good.all():
        return
    run = int(numpy.flatnonzero(~good)[0])
    raise ValueError(
        "Batch sizes must be above 0 and limits of steps must satisfy 0 <= low <= high with a finite low, "
        f"got batch size {sizes[run]:g} with {low[run]:g} and {high[run]:g}; leave out runs that diverged."
    )
