"""A span of time shared out to parts that follow one another."""

import time
from collections.abc import Callable, Sequence


class TimeShares:
    """Shares a span of time out by weight; what one part leaves over, those after it have.

    >>> shares = TimeShares(8, [1, 3], clock=iter([0.0, 0.0, 1.0, 2.0, 5.0, 8.0]).__next__)
    >>> over = shares.next()
    >>> over(), over()
    (False, True)
    >>> over = shares.next()
    >>> over()
    True
    """

    def __init__(self, seconds: float, weights: Sequence[float], clock: Callable[[], float] = time.monotonic) -> None:
        """Begin the span now; `weights` has one entry a part, in their order."""
        self._clock = clock
        self._end = clock() + seconds
        self._weights = list(weights)

    def next(self) -> Callable[[], bool]:
        """Begin the next part and return what tells whether its time is over."""
        now = self._clock()
        share = self._weights[0] / sum(self._weights)
        end = now + max(0.0, self._end - now) * share
        del self._weights[0]
        return lambda: self._clock() >= end
