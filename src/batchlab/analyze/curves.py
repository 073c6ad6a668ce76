"""What was recorded on the way, averaged over seeds: training curves, and the response to the learning rate."""

import math
import statistics
from collections.abc import Mapping, Sequence

from batchlab.analyze.findings import BestOf, MeanCurve, ResponsePoint
from batchlab.numerics.comparisons import expected_best_of
from batchlab.numerics.intervals import t_interval
from batchlab.records import TrialResult


def mean_curve(batch_size: int, trials: Sequence[TrialResult], level: float) -> MeanCurve:
    """Return the curves of one batch size averaged over its trials, which were evaluated at the same steps."""
    longest = max(trials, key=lambda one: len(one.curve.steps)).curve
    columns = {
        name: [_column(trials, name, index) for index in range(len(longest.steps))]
        for name in ("train_loss", "valid_loss", "valid_metric")
    }
    bands = [t_interval(values, level=level) if values else None for values in columns["valid_metric"]]
    return MeanCurve(
        batch_size=batch_size,
        examples=longest.examples,
        steps=longest.steps,
        train_loss=tuple(_mean(values) for values in columns["train_loss"]),
        valid_loss=tuple(_mean(values) for values in columns["valid_loss"]),
        valid_metric=tuple(_mean(values) for values in columns["valid_metric"]),
        valid_metric_low=tuple(band.low if band else None for band in bands),
        valid_metric_high=tuple(band.high if band else None for band in bands),
    )


def response_points(tuning: Mapping[int, Sequence[TrialResult]]) -> tuple[ResponsePoint, ...]:
    """Return every learning rate tried at every batch size, averaged over the tuning seeds that did not diverge."""
    points = []
    for size, trials in tuning.items():
        for rate in sorted({one.settings.learning_rate for one in trials}):
            here = [one for one in trials if one.settings.learning_rate == rate]
            done = [one for one in here if one.status == "done"]
            points.append(
                ResponsePoint(
                    batch_size=size,
                    learning_rate=rate,
                    valid_loss=_mean([one.valid_loss for one in done]),
                    valid_metric=_mean([one.valid_metric for one in done]),
                    n_seeds=len(here),
                    n_diverged=len(here) - len(done),
                )
            )
    return tuple(points)


def expected_best(points: Sequence[ResponsePoint], baseline: float, *, higher_is_better: bool) -> tuple[BestOf, ...]:
    """Return what the best of n learning rates is expected to reach, up to as many as every batch size has tried.

    Args:
        points: every learning rate tried at every batch size.
        baseline: the metric of the best constant guess, for rates at which training diverged.
        higher_is_better: the metric's direction.
    """
    by_size: dict[int, list[float]] = {}
    for point in points:
        value = baseline if point.n_diverged or point.valid_metric is None else point.valid_metric
        by_size.setdefault(point.batch_size, []).append(value)
    counts = tuple(range(1, 1 + min(map(len, by_size.values()), default=0)))
    return tuple(
        BestOf(size, counts, tuple(expected_best_of(values, n, higher_is_better=higher_is_better) for n in counts))
        for size, values in by_size.items()
        if all(map(math.isfinite, values))
    )


def _column(trials: Sequence[TrialResult], name: str, index: int) -> list[float]:
    """Return one entry of every trial's curve, or nothing where a trial had diverged by then."""
    columns = [getattr(one.curve, name) for one in trials]
    if any(len(column) <= index or not math.isfinite(column[index]) for column in columns):
        return []
    return [column[index] for column in columns]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
