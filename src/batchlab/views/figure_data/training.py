"""Training curves against examples or steps."""

from dataclasses import dataclass
from itertools import pairwise

from batchlab.analyze.findings import MeanCurve, StudyFindings
from batchlab.analyze.wording import say_list
from batchlab.views.figure_data.scaling import scaled, wants_log_scale
from batchlab.views.wording import (
    interval_words,
    metric_scale,
    metric_unit,
    seeds_words,
)


@dataclass(frozen=True, slots=True)
class CurveLine:
    """The mean validation metric of one batch size while it trained, without the untrained model."""

    batch_size: int
    x: tuple[int, ...]
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    highlighted: bool


@dataclass(frozen=True, slots=True)
class Curves:
    """Training curves of all batch sizes against examples or steps; `highlighted` ones are drawn with intervals."""

    title: str
    caption: str
    x_label: str
    y_label: str
    unit: str
    lines: tuple[CurveLine, ...]
    log_x: bool
    log_y: bool


def curves(findings: StudyFindings, against: str = "examples") -> Curves | None:
    """Return the mean validation curves, or None where there are none.

    Args:
        findings: What the analysis says.
        against: What the curves are drawn over: "examples" or "steps".
    """
    lines = tuple(line for curve in findings.curves for line in _curve_lines(curve, findings, against))
    if not lines:
        return None
    values = [value for line in lines for value in line.mean if value is not None]
    counts = [count for line in lines for count in line.x]
    return Curves(
        title=_curves_title(lines, findings, against),
        caption=_curves_caption(findings, lines),
        x_label="Examples seen" if against == "examples" else "Optimizer steps",
        y_label=f"Validation {findings.metric.name}",
        unit=metric_unit(findings.metric),
        lines=lines,
        log_x=max(counts) > 20 * min(counts),
        log_y=wants_log_scale(values, findings.metric),
    )


def _curve_lines(curve: MeanCurve, findings: StudyFindings, against: str) -> list[CurveLine]:
    """Return the curve without its first entry (nothing can be drawn at zero on a log axis), or nothing."""
    scale = metric_scale(findings.metric)
    counts = curve.examples if against == "examples" else curve.steps
    kept = [index for index, count in enumerate(counts) if count > 0]
    if not any(curve.valid_metric[index] is not None for index in kept):
        return []
    return [
        CurveLine(
            batch_size=curve.batch_size,
            x=tuple(counts[index] for index in kept),
            mean=tuple(scaled(curve.valid_metric[index], scale) for index in kept),
            low=tuple(scaled(curve.valid_metric_low[index], scale) for index in kept),
            high=tuple(scaled(curve.valid_metric_high[index], scale) for index in kept),
            highlighted=curve.batch_size == findings.answer.best_batch_size,
        )
    ]


def _curves_title(lines: tuple[CurveLine, ...], findings: StudyFindings, against: str) -> str:
    """Return who leads early: half-way by examples, or after as many steps as the shortest curve has."""
    plain = f"Validation {findings.metric.name} by {'examples seen' if against == 'examples' else 'optimizer steps'}"
    complete = [line for line in lines if line.mean[-1] is not None]
    if len(complete) < 2 or findings.answer.best_batch_size is None:
        return plain
    shortest = min(line.x[-1] for line in complete)
    at = shortest / 2 if against == "examples" else float(shortest)
    evaluated = [line for line in complete if line.x[0] <= at]
    if len(evaluated) < 2:
        return plain
    pick = max if findings.metric.higher_is_better else min
    leader = pick(evaluated, key=lambda line: _value_at(line, at))
    when = f"Half-way, after {at:,.0f} examples" if against == "examples" else f"After {at:,.0f} steps each"
    if len(evaluated) == len(complete):
        return f"{when}, batch size {leader.batch_size} has the best mean"
    others = tuple(line.batch_size for line in evaluated if line is not leader)
    return f"{when}, batch size {leader.batch_size} has a better mean than {say_list(others)}"


def _curves_caption(findings: StudyFindings, lines: tuple[CurveLine, ...]) -> str:
    sentences = [f"Mean validation {findings.metric.name} of {seeds_words(findings)}, labeled by batch size"]
    if any(line.highlighted and any(low is not None for low in line.low) for line in lines):
        sentences.append(f"Band: {interval_words(findings)}, drawn for the best batch size alone")
    sentences.append("The untrained model is left out")
    ended = tuple(line.batch_size for line in lines if line.mean[-1] is None)
    if ended:
        why = "its first seed was at the target or diverged" if findings.race is not None else "a seed diverged"
        sentences.append(f"A curve ends where {why}: {say_list(ended)}")
    drawn = {line.batch_size for line in lines}
    missing = tuple(row.batch_size for row in findings.batch_sizes if row.batch_size not in drawn)
    if missing:
        sentences.append(f"Without a curve: {say_list(missing)}")
    return ". ".join(sentences) + "."


def _value_at(line: CurveLine, at: float) -> float:
    """Return the curve at `at`, which must not lie before its first point, by linear interpolation."""
    points = [(x, y) for x, y in zip(line.x, line.mean, strict=True) if y is not None]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= at <= x1:
            return y0 + (y1 - y0) * (at - x0) / (x1 - x0) if x1 > x0 else y1
    return points[-1][1]
