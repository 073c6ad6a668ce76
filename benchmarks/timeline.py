"""How much of a study its cores stand idle, from the times at which trials were sent and came back."""

from collections.abc import Sequence
from dataclasses import dataclass

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Idle:
    """Shares of all core-seconds between the first trial sent and the last one back.

    `whole` is what no trial used; `at_end` the part of it in which a core waits for the last trials of others.
    """

    whole: float
    at_end: float


def idle_shares(trials: Sequence[Interval], places: int) -> Idle:
    """Return the idle shares of trials, as (sent, back), that ran on so many places.

    The end begins when the last trial is sent: from then on a free place has nothing to wait for.

    >>> idle_shares([(0.0, 4.0), (0.0, 2.0)], places=2)
    Idle(whole=0.25, at_end=0.25)
    """
    first, end, last = min(sent for sent, _ in trials), max(sent for sent, _ in trials), max(back for _, back in trials)
    total = places * (last - first)
    busy = sum(back - sent for sent, back in trials)
    busy_at_end = sum(max(0.0, back - max(sent, end)) for sent, back in trials)
    return Idle((total - busy) / total, (places * (last - end) - busy_at_end) / total)
