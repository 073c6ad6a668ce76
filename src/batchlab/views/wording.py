"""Numbers and verdicts as words, the same in the terminal and in the report."""

import math
from collections.abc import Sequence

from batchlab.analyze.findings import Answer, BatchSizeRow, Estimate, MetricInfo, StudyFindings
from batchlab.analyze.target_findings import RaceFindings
from batchlab.analyze.wording import PERCENT_METRICS, say_list, say_margin, say_seconds
from batchlab.records import Setting

INTERVAL_KIND = "t interval over seeds"
MISSING = "–"
BUDGET_NAMES = {"examples": "equal examples", "steps": "equal steps", "seconds": "equal time"}


def metric_scale(metric: MetricInfo) -> float:
    """Return the factor from the metric's own unit to the one it is shown in: 100 for error and accuracy."""
    return 100.0 if metric.name in PERCENT_METRICS else 1.0


def metric_unit(metric: MetricInfo) -> str:
    """Return the unit the metric is shown in: "%" for error and accuracy, otherwise nothing."""
    return "%" if metric.name in PERCENT_METRICS else ""


def metric_label(metric: MetricInfo, split: str) -> str:
    """Return the name of the metric on one split with its unit.

    >>> metric_label(MetricInfo("error", False, 0.005), "validation")
    'validation error, %'
    """
    unit = metric_unit(metric)
    return f"{split} {metric.name}" + (f", {unit}" if unit else "")


def format_metric(value: float | None, metric: MetricInfo) -> str:
    """Return a metric value without its unit: per cent with two decimals, or four significant digits.

    >>> format_metric(0.0342, MetricInfo("error", False, 0.005))
    '3.42'
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{100 * value:.2f}" if metric.name in PERCENT_METRICS else significant(value, 4)
    return text.replace("-", "−", 1) if value < 0 else text


def format_margin(metric: MetricInfo) -> str:
    """Return the margin with its unit.

    >>> format_margin(MetricInfo("accuracy", True, 0.005))
    '0.5 points'
    """
    return say_margin(metric.name, metric.margin)


def format_estimate(estimate: Estimate | None, metric: MetricInfo) -> str:
    """Return the mean and, where there is one, its interval: "3.42 (3.11–3.73)"."""
    if estimate is None or not math.isfinite(estimate.mean):
        return MISSING
    mean = format_metric(estimate.mean, metric)
    if estimate.low is None or estimate.high is None:
        return mean
    return f"{mean} ({_span(format_metric(estimate.low, metric), format_metric(estimate.high, metric))})"


def format_setting(name: str, value: Setting | None) -> str:
    """Return a setting that was tuned beside the learning rate; a warm-up in per cent of the budget.

    >>> format_setting("momentum", 0.905), format_setting("warmup", 0.051), format_setting("schedule", "cosine")
    ('0.905', '5.1%', 'cosine')
    """
    if value is None:
        return MISSING
    if not isinstance(value, float):
        return str(value)
    return f"{100 * value:.3g}%" if name == "warmup" else f"{value:.3g}"


def format_plain_estimate(estimate: Estimate | None) -> str:
    """Return an estimate of steps or seconds: four significant digits at most, with its interval."""
    if estimate is None or not math.isfinite(estimate.mean):
        return MISSING
    if estimate.low is None or estimate.high is None:
        return format_number(estimate.mean)
    return f"{format_number(estimate.mean)} ({_span(format_number(estimate.low), format_number(estimate.high))})"


def format_number(value: float) -> str:
    """Return a number with four significant digits, whole ones in full.

    >>> format_number(12345.0), format_number(0.012345), format_number(float("inf"))
    ('12,345', '0.01235', '∞')
    """
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def significant(value: float, digits: int) -> str:
    """Return a number with exactly so many significant digits, closing zeros among them.

    >>> significant(1.09, 4), significant(733.4, 3)
    ('1.090', '733')
    """
    return f"{value:#.{digits}g}".removesuffix(".")


def judged_margin(findings: StudyFindings) -> str:
    """Return the margin by which sizes tie: of the metric, or in a race of the cost."""
    race = findings.race
    return format_margin(findings.metric) if race is None else f"{100 * race.margin:g}% of the {race.objective}"


def race_note(race: RaceFindings) -> str:
    """Return what decided a race, and what that took."""
    saved = 1 - race.examples / race.full_examples if race.full_examples else 0.0
    return (
        f"Decided by the {race.objective} to the target on validation data; {race.n_scouting} scouting and "
        f"{race.n_confirming} confirming trials, which ended early and so saved {100 * saved:.0f}% of their examples"
    )


def format_learning_rate(value: float | None) -> str:
    """Return a learning rate with three significant digits.

    >>> format_learning_rate(0.031623)
    '0.0316'
    """
    return MISSING if value is None or not math.isfinite(value) else f"{value:.3g}"


def format_learning_rate_interval(row: BatchSizeRow) -> str:
    """Return the interval of a tuned learning rate, or nothing where it was not tuned."""
    if row.learning_rate_low is None or row.learning_rate_high is None:
        return ""
    return _span(format_learning_rate(row.learning_rate_low), format_learning_rate(row.learning_rate_high))


def format_seconds(seconds: float | None) -> str:
    """Return a duration in the unit that suits it, a dash where there is none.

    >>> format_seconds(0.0123), format_seconds(None)
    ('12.3 ms', '–')
    """
    return MISSING if seconds is None or not math.isfinite(seconds) else say_seconds(seconds)


def place(row: BatchSizeRow, answer: Answer) -> str:
    """Return where a batch size stands: best, ties, undecided, diverged, worse, failed or not ranked."""
    found = "not ranked" if answer.verdict == "no-signal" else places_by_size(answer).get(row.batch_size, "not ranked")
    if found in ("best", "ties", "undecided"):
        return found
    measured = math.isfinite(row.valid_metric.mean)
    if "diverged" in row.flags:
        return "diverged"
    if not measured:
        return "failed" if "failed" in row.flags else "diverged"
    return found


def place_words(row: BatchSizeRow, answer: Answer) -> str:
    """Return `place`, and that trials diverged where the place alone does not say so."""
    words = place(row, answer)
    return f"{words}, diverged" if "diverged" in row.flags and words != "diverged" else words


def places_by_size(answer: Answer) -> dict[int, str]:
    """Return what an answer says of each batch size it names."""
    best = () if answer.best_batch_size is None else (answer.best_batch_size,)
    return {
        **dict.fromkeys(answer.worse_batch_sizes, "worse"),
        **dict.fromkeys(answer.undecided_batch_sizes, "undecided"),
        **dict.fromkeys(answer.tied_batch_sizes, "ties"),
        **dict.fromkeys(best, "best"),
    }


def verdict_words(answer: Answer | None) -> str:
    """Return an answer in a few words: who is best, who ties, who is undecided."""
    if answer is None:
        return "cannot be given; the notes say why"
    if answer.verdict == "no-signal":
        return "no signal: no batch size beats a constant guess"
    if answer.best_batch_size is None:
        return "no best batch size"
    words = [f"{answer.best_batch_size} is best"]
    if answer.verdict == "edge-of-range":
        words[0] += ", at the edge of what was tried"
    if answer.tied_batch_sizes:
        words.append(f"{say_list(answer.tied_batch_sizes)} {_verb('tie', answer.tied_batch_sizes)}")
    if answer.undecided_batch_sizes:
        words.append(f"{say_list(answer.undecided_batch_sizes)} undecided")
    return "; ".join(words)


def seeds_words(findings: StudyFindings) -> str:
    """Return how many seeds stand behind each mean: "5 seeds", or "2 to 5 seeds" where it differs."""
    counts = sorted({row.n_seeds for row in findings.batch_sizes}) or [0]
    if len(counts) > 1:
        return f"{counts[0]} to {counts[-1]} seeds"
    return "1 seed" if counts[0] == 1 else f"{counts[0]} seeds"


def interval_words(findings: StudyFindings) -> str:
    """Return what the intervals of the study are: "95% t interval over seeds"."""
    return f"{100 * findings.level:g}% {INTERVAL_KIND}"


def accumulation_words(rows: Sequence[BatchSizeRow]) -> str:
    """Return which batch sizes were split, and how: "512 ran as 4 micro-batches of 128"."""
    split = [row for row in rows if row.gradient_accumulation_steps > 1]
    return ", ".join(
        f"{row.batch_size} {'ran ' if row is split[0] else ''}as {row.gradient_accumulation_steps} micro-batches of "
        f"{'up to ' if row.batch_size % row.micro_batch_size else ''}{row.micro_batch_size}"
        for row in split
    )


def sentence_case(text: str) -> str:
    """Return the text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def _verb(stem: str, subjects: tuple[int, ...]) -> str:
    return stem if len(subjects) > 1 else f"{stem}s"


def _span(low: str, high: str) -> str:
    return f"{low} to {high}" if low.startswith("−") else f"{low}–{high}"
