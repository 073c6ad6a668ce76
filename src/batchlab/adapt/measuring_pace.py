"""How often to measure: as often as costs a few per cent of the training time, found from the first steps."""

import math
import statistics
import time
from collections.abc import Callable

# The share of the training time that measuring may take.
ALLOWED = 0.03
# Pairs of a measured and an unmeasured step that are timed, after those in which everything is still warming up.
N_WARM_UP, N_PAIRS = 4, 12
# At least so often, however dear it is: a window of 1,000 steps then has ten blocks.
RAREST = 100


class MeasuringPace:
    """Which steps are measured: each `every`-th, beginning with the first.

    Where no number is given every second step is measured at first, and 16 pairs are timed; then `every` is set so that
    measuring takes `ALLOWED` of the time. A step lasts from the end of the one before, so that all a measurement costs
    is in it: hooks, norms, and the smaller passes of a batch that is split. The median of the ratios of neighbors is
    taken, for which a pause, a slow spell or an evaluation in between is one of twelve.
    """

    def __init__(self, every: int | None, *, settle: Callable[[], None], agree: Callable[[float], float]) -> None:
        """Take the setting.

        Args:
            every: a number of steps, None to find it.
            settle: waits until the device has done all it was given; called at the end of timed steps.
            agree: turns this worker's added share into that of all of them.
        """
        self.every = 2 if every is None else every
        self._times: list[float] | None = [] if every is None else None
        self._settle, self._agree = settle, agree

    def due(self, n_steps: int) -> bool:
        """Return whether the step after `n_steps` is measured."""
        return n_steps % self.every == 0

    def step_ended(self, n_steps: int) -> None:
        """Note the end of step `n_steps`, counted from 1."""
        if self._times is None:
            return
        if not self._times and self.due(n_steps - 1):
            return  # Timed steps begin with a measured one, at the end of one that was not.
        self._settle()
        self._times.append(time.perf_counter())
        if len(self._times) > 2 * (N_WARM_UP + N_PAIRS):
            steps = [after - before for before, after in zip(self._times, self._times[1:], strict=False)]
            self.every = steps_between(self._agree(added_share(steps[2 * N_WARM_UP :])))
            self._times = None


def added_share(seconds: list[float]) -> float:
    """Return what measuring adds to a step, as a share of it, from steps of which every second was not measured.

    >>> added_share([1.25, 1.0, 1.5, 1.0, 9.0, 1.0])
    0.5
    """
    return statistics.median(measured / plain - 1 for measured, plain in zip(seconds[::2], seconds[1::2], strict=True))


def steps_between(added: float) -> int:
    """Return from how many steps to measure one, where that adds this share to it.

    >>> [steps_between(added) for added in (-0.01, 0.03, 0.5, 100.0)]
    [1, 1, 17, 100]
    """
    return min(RAREST, max(1, math.ceil(added / ALLOWED - 1e-9)))
