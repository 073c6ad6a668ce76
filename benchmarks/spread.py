"""Median and range of a few measurements, and whether the machine was calm for them."""

import os
import statistics
from collections.abc import Sequence
from typing import TypedDict


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


def load_average() -> float:
    """Return how many processes wanted a core in the last minute, rounded; 0 where the system does not tell.

    With several threads a step waits for its slowest thread: where others want the same cores, it can take 10 times as
    long, and a figure of that machine says nothing.
    """
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0
