"""From the metric's own unit to the one it is shown in."""

import math
from collections.abc import Iterable

from batchlab.analyze.findings import Estimate, MetricInfo

LOG_RATIO = 5.0


def mean_of(estimate: Estimate | None) -> float | None:
    """Return the mean of an estimate, or None where there is none or it is not finite."""
    return None if estimate is None or not math.isfinite(estimate.mean) else estimate.mean


def scaled(value: float | None, scale: float) -> float | None:
    """Return `scale` times the value, or None where there is none or it is not finite."""
    return None if value is None or not math.isfinite(value) else scale * value


def wants_log_scale(values: Iterable[float], metric: MetricInfo) -> bool:
    """Return whether values span so much that only a log scale shows the lower part; never where higher is better."""
    found = list(values)
    if metric.higher_is_better or not found or min(found) <= 0:
        return False
    return max(found) > LOG_RATIO * min(found)
