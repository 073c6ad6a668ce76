"""Median and range of a few measurements, and whether the machine was calm for them."""

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from scipy.stats import binom

PROC_STAT = Path("/proc/stat")


class Spread(TypedDict):
    """The median, the least and the greatest."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return median and range.

    >>> spread([3.0, 1.0, 2.0])
    {'median': 2.0, 'low': 1.0, 'high': 3.0}
    """
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def median_interval(values: Sequence[float], level: float = 0.95) -> Spread:
    """Return the median with its interval by order statistics, which holds for any distribution; the range of few.

    >>> median_interval([float(value) for value in range(1, 101)])
    {'median': 50.5, 'low': 40.0, 'high': 61.0}
    """
    ordered = sorted(values)
    below = int(binom.ppf((1 - level) / 2, len(ordered), 0.5))
    rank = max(below, 1)
    return {"median": statistics.median(ordered), "low": ordered[rank - 1], "high": ordered[-rank]}


def busy_cores(seconds: float = 1.0) -> float:
    """Return how many cores others use, watched for so long from a process that rests; 0 where there is no /proc.

    With several threads a step waits for its slowest thread: where others want the same cores, it can take 10 times as
    long, and a figure of that machine says nothing. The system's load average would count the benchmark before.
    """
    if not PROC_STAT.exists():
        return 0.0
    first = _ticks()
    time.sleep(seconds)
    total, idle = (after - before for before, after in zip(first, _ticks(), strict=True))
    return round((os.cpu_count() or 1) * (1 - idle / total), 2) if total else 0.0


def _ticks() -> tuple[int, int]:
    """Return the clock ticks of all cores since boot, all and those without work (proc(5): idle and iowait)."""
    counts = [int(word) for word in PROC_STAT.read_text().splitlines()[0].split()[1:9]]
    return sum(counts), counts[3] + counts[4]
