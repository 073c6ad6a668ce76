"""How numbers are said in sentences."""

from collections.abc import Sequence

from batchlab.numerics.intervals import Interval
from batchlab.records import Setting

PERCENT_METRICS = ("error", "accuracy")


def say_metric(metric: str, value: float) -> str:
    """Return a metric's value as people say it: error and accuracy in per cent, others to four digits.

    >>> say_metric("error", 0.0213)
    '2.13%'
    """
    return f"{100 * value:.2f}%" if metric in PERCENT_METRICS else f"{value:.4g}"


def say_margin(metric: str, value: float) -> str:
    """Return a difference of metric values.

    >>> say_margin("accuracy", 0.005)
    '0.5 points'
    """
    return f"{100 * value:g} points" if metric in PERCENT_METRICS else f"{value:.3g}"


def say_difference(metric: str, value: float) -> str:
    """Return a measured difference of metric values without its unit: points for error and accuracy.

    >>> say_difference("error", 0.01213), say_difference("loss", -0.03456)
    ('1.21', '-0.0346')
    """
    # The sum makes -0.00 plain 0.00.
    return f"{round(100 * value, 2) + 0.0:.2f}" if metric in PERCENT_METRICS else f"{value:.3g}"


def say_unit(metric: str) -> str:
    """Return the unit of a difference with the blank before it, nothing where the metric has none.

    >>> say_unit("error"), say_unit("loss")
    (' points', '')
    """
    return " points" if metric in PERCENT_METRICS else ""


def say_seconds(seconds: float) -> str:
    """Return a duration in the unit that suits it, with three significant digits.

    >>> [say_seconds(value) for value in (0.00084, 0.0123, 12.3, 754.0, 9000.0, 400000.0)]
    ['840 µs', '12.3 ms', '12.3 s', '12.6 min', '2.50 h', '4.63 d']
    """
    for below, unit, unit_s in ((1e-3, "µs", 1e-6), (1.0, "ms", 1e-3), (100.0, "s", 1.0), (6000.0, "min", 60.0)):
        if seconds < below:
            return f"{seconds / unit_s:#.3g}".removesuffix(".") + f" {unit}"
    unit, unit_s = ("h", 3600.0) if seconds < 172800 else ("d", 86400.0)
    return f"{seconds / unit_s:#.3g}".removesuffix(".") + f" {unit}"


def within_range(metric: str, interval: Interval) -> Interval:
    """Return the interval cut to the values the metric can take: error and accuracy lie between 0 and 1.

    >>> within_range("error", Interval(0.01, -0.02, 0.04))
    Interval(mean=0.01, low=0.0, high=0.04)
    """
    if metric not in PERCENT_METRICS or interval.low is None or interval.high is None:
        return interval
    return Interval(interval.mean, max(0.0, interval.low), min(1.0, interval.high))


def say_list(items: Sequence[object]) -> str:
    """Return the items as a list in a sentence.

    >>> say_list([8, 16, 32])
    '8, 16 and 32'
    """
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def say_setting(name: str, value: Setting) -> str:
    """Return a setting that was tuned beside the learning rate, by the names of the option `tune`.

    >>> [say_setting(*one) for one in (("weight_decay", 3e-4), ("warmup", 0.051), ("schedule", "step"))]
    ['weight decay 0.0003', 'warm-up over 5.1%', 'a step schedule']
    """
    if name == "schedule":
        return f"a {value} schedule"
    if name == "warmup" and isinstance(value, float):
        return f"warm-up over {100 * value:.3g}%"
    return f"{name.replace('_', ' ')} {value:g}" if isinstance(value, float) else f"{name} {value}"
