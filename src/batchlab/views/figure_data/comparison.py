"""The metric by batch size."""

import math
from dataclasses import dataclass

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.wording import say_list
from batchlab.views.figure_data.scaling import mean_of, scaled, wants_log_scale
from batchlab.views.wording import (
    format_margin,
    format_metric,
    interval_words,
    metric_scale,
    metric_unit,
    place,
    seeds_words,
)


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One batch size: the validation mean with its interval (None with fewer than 3 seeds), and the test mean."""

    batch_size: int
    value: float
    low: float | None
    high: float | None
    test: float | None
    n_seeds: int
    place: str


@dataclass(frozen=True, slots=True)
class MetricByBatchSize:
    """The metric by batch size, with the margin around the best.

    `unmeasured` are the sizes without a mean, each with why; `baseline` is the constant guess, where it matters.
    """

    title: str
    caption: str
    label: str
    unit: str
    higher_is_better: bool
    points: tuple[MetricPoint, ...]
    unmeasured: tuple[tuple[int, str], ...]
    band: tuple[float, float] | None
    baseline: float | None
    recommended: int | None
    log_scale: bool


def metric_by_batch_size(findings: StudyFindings) -> MetricByBatchSize:
    """Return the validation metric by batch size with intervals, places, and the margin around the best."""
    metric, answer, scale = findings.metric, findings.answer, metric_scale(findings.metric)
    measured = [row for row in findings.batch_sizes if math.isfinite(row.valid_metric.mean)]
    points = tuple(
        MetricPoint(
            batch_size=row.batch_size,
            value=scale * row.valid_metric.mean,
            low=scaled(row.valid_metric.low, scale),
            high=scaled(row.valid_metric.high, scale),
            test=scaled(mean_of(row.test_metric), scale),
            n_seeds=row.n_seeds,
            place=place(row, answer),
        )
        for row in measured
    )
    best = next((point.value for point in points if point.batch_size == answer.best_batch_size), None)
    margin = scale * metric.margin
    return MetricByBatchSize(
        title=_metric_title(findings),
        caption=_metric_caption(findings),
        label=f"Validation {metric.name}",
        unit=metric_unit(metric),
        higher_is_better=metric.higher_is_better,
        points=points,
        unmeasured=tuple((row.batch_size, place(row, answer)) for row in findings.batch_sizes if row not in measured),
        band=None if best is None else (best - margin, best + margin),
        baseline=scaled(findings.baseline_metric.mean, scale) if answer.verdict == "no-signal" else None,
        recommended=None if answer.recommended is None else answer.recommended.batch_size,
        log_scale=wants_log_scale([point.value for point in points], metric),
    )


def _metric_title(findings: StudyFindings) -> str:
    answer = findings.answer
    if answer.verdict == "no-signal":
        return "No batch size beats a constant guess"
    if answer.best_batch_size is None:
        return f"No batch size stands out in validation {findings.metric.name}"
    if len(findings.batch_sizes) == 1:
        return f"Only batch size {answer.best_batch_size} was tried"
    extreme = "highest" if findings.metric.higher_is_better else "lowest"
    title = f"Batch size {answer.best_batch_size} has the {extreme} validation {findings.metric.name}"
    if answer.tied_batch_sizes:
        title += f"; {say_list(answer.tied_batch_sizes)} {'tie' if len(answer.tied_batch_sizes) > 1 else 'ties'}"
    if answer.undecided_batch_sizes:
        title += f"; {say_list(answer.undecided_batch_sizes)} cannot be told apart from it yet"
    return title


def _metric_caption(findings: StudyFindings) -> str:
    metric, rows = findings.metric, findings.batch_sizes
    sentences = [f"Mean validation {metric.name} of {seeds_words(findings)}"]
    if any(row.valid_metric.low is not None for row in rows):
        sentences[0] += f"; bars: {interval_words(findings)}"
        sentences.append("Sizes are compared seed by seed, so bars that overlap can still differ")
    without = tuple(row.batch_size for row in rows if mean_of(row.valid_metric) and row.valid_metric.low is None)
    if without:
        sentences.append(f"No interval at {say_list(without)}: fewer than 3 seeds")
    if findings.answer.best_batch_size is not None:
        sentences.append(f"Green band: the best mean ± the margin of {format_margin(metric)}")
    partly = tuple(row.batch_size for row in rows if "diverged" in row.flags and mean_of(row.valid_metric) is not None)
    if partly:
        sentences.append(f"At {say_list(partly)} trials diverged: the mean is of the others")
    if any(row.test_metric is not None for row in rows):
        sentences.append("Gray dashes: test, shown beside and never used to decide")
    if findings.answer.recommended is not None:
        sentences.append("Ring: recommended")
    baseline = format_metric(findings.baseline_metric.mean, metric) + metric_unit(metric)
    sentences.append(f"A constant guess has {baseline}")
    return ". ".join(sentences) + "."
