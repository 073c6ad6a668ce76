"""What a study would do, in a terminal."""

from collections.abc import Sequence

from rich.console import Console

from batchlab.analyze.preview import Preview, Span
from batchlab.analyze.wording import say_seconds
from batchlab.views.wording import MISSING, format_learning_rate, format_number


def print_preview(preview: Preview, console: Console) -> None:
    """Print the size of a study, what it could tell apart, its stages and its batch sizes."""
    stages = [
        (one.name, _span(one.trials), str(one.stored or MISSING), _seconds_span(one.trial_seconds))
        for one in preview.stages
    ]
    sizes = [
        (str(one.batch_size), f"{one.n_steps:,}", say_seconds(one.trial_seconds), _rates(one.learning_rates))
        for one in preview.batch_sizes
    ]
    lines = [
        _first_line(preview),
        preview.power,
        "",
        *_table(("stage", "to run", "stored", "one by one"), stages),
        "",
        *_table(("batch size", "updates", "a trial takes", _rates_heading(preview)), sizes),
        "",
        *(f"- {note}" for note in preview.notes),
        "",
        f"Study   {preview.study.name} ({preview.study.id}), not stored",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _first_line(preview: Preview) -> str:
    value = preview.budget.value
    budget = f"{format_number(value)} {preview.budget.kind.removesuffix('s') if value == 1 else preview.budget.kind}"
    if not preview.trials.high:
        return f"Nothing to run: the store has every trial, {preview.workload} for {budget} each."
    return (
        f"{_span(preview.trials)} trials to run, {preview.workload} for {budget} each: about "
        f"{_seconds_span(preview.seconds)} with {preview.workers} at a time on {preview.device}."
    )


def _rates_heading(preview: Preview) -> str:
    if preview.tune:
        return "learning rates from, to"
    return "learning rates to begin with" if preview.learning_rate_mode == "tune" else "learning rate"


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines with aligned columns: numbers to the right, the last column to the left."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    return [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths[:-1], strict=False)), row[-1]])
        for row in (heading, *rows)
    ]


def _rates(rates: tuple[float, ...]) -> str:
    return " ".join(format_learning_rate(rate) for rate in rates)


def _span(span: Span) -> str:
    return f"{span.low:g}" if span.low == span.high else f"{span.low:g} to {span.high:g}"


def _seconds_span(span: Span) -> str:
    low, high = say_seconds(span.low), say_seconds(span.high)
    return low if low == high else f"{low} to {high}"
