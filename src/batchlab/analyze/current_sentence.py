"""Today's setting in one sentence: what it loses, and how long it takes."""

from batchlab.analyze.findings import CurrentRow, Estimate, MetricInfo
from batchlab.analyze.wording import say_difference, say_margin, say_metric, say_unit

LEAST_RATIO = 1.05


def current_sentence(row: CurrentRow, metric: MetricInfo, *, n_trained: int, is_recommended: bool) -> str:
    """Return the sentence about today's setting.

    Args:
        row: all of it but the sentence.
        metric: what decides.
        n_trained: how many seeds were trained, those that diverged among them.
        is_recommended: whether it is compared with the recommended setting, and not merely with the best mean.
    """
    today = f"Today's {row.batch_size} at lr {row.learning_rate:g}"
    if "same" in row.flags:
        return f"{today} is the {'recommended setting' if is_recommended else 'setting with the best mean'}."
    other = f"{row.against_batch_size} at {row.against_learning_rate:g}" if row.against_learning_rate else ""
    if other and not is_recommended:
        other += " (the best mean)"
    if "diverged" in row.flags:
        counts = f" so it counts as worse than {other}" if other else ""
        return f"{today} diverged in {n_trained - row.n_seeds} of {n_trained} seeds{',' if counts else ''}{counts}."
    if row.loses is None:
        value = say_metric(metric.name, row.valid_metric.mean)
        return f"{today} has a validation {metric.name} of {value}; there is nothing to compare it with yet."
    return f"{today} {_compared(row, row.loses, metric, other)}."


def _compared(row: CurrentRow, loses: Estimate, metric: MetricInfo, other: str) -> str:
    """Return what today's setting does beside the other."""
    name = f"validation {metric.name}"
    if loses.low is None:
        direction = "better" if loses.mean < 0 else "worse"
        amount = _amount(abs(loses.mean), metric)
        return f"has a {name} {amount} {direction} than {other}, on too few seeds to compare{_time(row)}"
    if "within_margin" in row.flags:
        margin = say_margin(metric.name, metric.margin)
        said = f"the difference of {_amount(abs(loses.mean), metric)} of {name} is within the margin of {margin}"
        return f"does as well as {other}{_time(row)}: {said}"
    if "worse" in row.flags:
        return f"loses {_with_interval(loses, metric, 1)} of {name} against {other}{_time(row)}"
    if "better" in row.flags:
        return f"is better than {other} by {_with_interval(loses, metric, -1)} of {name}{_time(row)}"
    verb, sign = ("gains", -1) if loses.mean < 0 else ("loses", 1)
    said = f"it {verb} {_with_interval(loses, metric, sign)} of {name}"
    return f"cannot be told from {other} yet: {said}{_time(row)}"


def _amount(value: float, metric: MetricInfo) -> str:
    return say_difference(metric.name, value) + say_unit(metric.name)


def _with_interval(loses: Estimate, metric: MetricInfo, sign: int) -> str:
    """Return "1.21 points (0.95 to 1.47)": what is lost, or with `sign` -1 what is gained."""
    assert loses.low is not None and loses.high is not None
    low, high = sorted((sign * loses.low, sign * loses.high))
    limits = f"{say_difference(metric.name, low)} to {say_difference(metric.name, high)}"
    return f"{_amount(sign * loses.mean, metric)} ({limits})"


def _time(row: CurrentRow) -> str:
    """Return how long it takes beside the other, nothing where that is not known or makes no difference."""
    ratio = row.time_ratio
    if ratio is None or 1 / LEAST_RATIO < ratio < LEAST_RATIO:
        return ""
    slower = ratio > 1
    link = "but" if ("worse" in row.flags and not slower) or ("better" in row.flags and slower) else "and"
    if slower:
        return f", {link} takes {f'{ratio:.1f}' if ratio < 10 else f'{ratio:,.0f}'} times as long"
    return f", {link} takes {100 * ratio:.2g}% of its time"
