"""The answer of a study in a terminal: the sentence first, then how sure, then the numbers."""

import shlex
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from batchlab.analyze.findings import BatchSizeRow, Estimate, StudyFindings
from batchlab.views.figure_data.scaling import mean_of
from batchlab.views.palette import PLACE_MARKS
from batchlab.views.wording import (
    BUDGET_NAMES,
    MISSING,
    accumulation_words,
    format_estimate,
    format_learning_rate,
    format_learning_rate_interval,
    format_metric,
    format_number,
    format_seconds,
    format_setting,
    interval_words,
    judged_margin,
    metric_label,
    place,
    place_words,
    race_note,
    seeds_words,
    sentence_case,
    verdict_words,
)

ASCII_WORDS = str.maketrans({"–": "-", "−": "-", "─": "-", "µ": "u", "×": "x", "∝": "~", "±": "+-", "∞": "inf"})
GAP = "  "


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie, for the last lines: the store, and the report if one was written."""

    store: str | None = None
    report: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table; those of highest `importance` go first where room is short, never those up to 3."""

    heading: tuple[str, str]
    cell: Callable[[StudyFindings, BatchSizeRow], str]
    importance: int
    left: bool = False


@dataclass(frozen=True, slots=True)
class Cells:
    """A column as it is printed: two lines of heading and one cell a batch size, all of one width."""

    heading: tuple[str, str]
    rows: tuple[str, ...]
    width: int
    importance: int
    left: bool

    def aligned(self, text: str) -> str:
        """Return the text, padded to the width of the column on the side the column asks for."""
        return text.ljust(self.width) if self.left else text.rjust(self.width)


def print_study(findings: StudyFindings, console: Console, *, places: Places | None = None) -> None:
    """Print what a study found: the answer, how sure, warnings, a table, other budgets and how to go on.

    Below the table stands what today's setting loses, where the study was asked. Where the console is too narrow the
    least important columns are left out; no number is cut.

    Args:
        findings: What the analysis says.
        console: Where to print; its width decides the columns, its encoding the characters.
        places: Where the store is, and the report if there is one already.
    """
    answer = findings.answer
    _say(console, answer.sentence, style="bold")
    if answer.confidence:
        _say(console, answer.confidence)
    for warning in answer.warnings:
        _say(console, warning, mark="! ", style="yellow")
    if findings.batch_sizes:
        _say(console)
        _print_table(findings, console)
        _say(console, _table_note(findings), style="dim")
    if findings.current is not None:
        _say(console, findings.current.sentence)
    if findings.to_target is not None:
        _say(console)
        for sentence in findings.to_target.sentences:
            _say(console, sentence)
    if findings.controls:
        _say(console)
        for control in findings.controls:
            _say(console, control.sentence)
    _say(console)
    _print_budgets(findings, console)
    for note in findings.notes:
        _say(console, note, mark="- ", style="dim")
    _say(console)
    _print_next(findings, console, places or Places())


def _print_table(findings: StudyFindings, console: Console) -> None:
    columns = _choose_columns([_fill(column, findings) for column in _columns(findings)], console.width)
    for line in range(2):
        _print_line(console, GAP.join(column.aligned(column.heading[line]) for column in columns))
    _print_line(console, "─" * (sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)))
    for index, row in enumerate(findings.batch_sizes):
        words = place(row, findings.answer)
        text = Text(style="bold" if words == "best" else "")
        text.append(GAP.join(column.aligned(column.rows[index]) for column in columns[:-1]) + GAP)
        text.append(columns[-1].rows[index], style=PLACE_MARKS[words].rich_style)
        _print_line(console, text)


def _columns(findings: StudyFindings) -> tuple[Column, ...]:
    metric = findings.metric
    valid, test, train = (_two_lines(metric_label(metric, split)) for split in ("validation", "test", "train"))
    return (
        Column(("batch", "size"), _size_cell, 1),
        Column(("learning", "rate"), _rate_cell, 4),
        *_tuned_columns(findings),
        Column(("its", "interval"), lambda _, row: format_learning_rate_interval(row), 12, left=True),
        Column(("", "updates"), lambda _, row: f"{row.n_steps:,}", 10),
        Column(valid, lambda _, row: format_estimate(row.valid_metric, metric), 2, left=True),
        Column(test, lambda _, row: _mean_cell(findings, row.test_metric), 5),
        Column(train, lambda _, row: _mean_cell(findings, row.train_metric), 11),
        Column(("step", "time"), lambda _, row: format_seconds(row.step_time_s), 9),
        Column(("total", "time"), lambda _, row: format_seconds(row.seconds), 8),
        Column(("steps to", "target"), lambda _, row: _mean_number(row.steps_to_target), 6),
        Column(("time to", "target"), lambda _, row: format_seconds(mean_of(row.seconds_to_target)), 7),
        Column(("", "compared"), lambda _, row: place_words(row, findings.answer), 3, left=True),
    )


def _tuned_columns(findings: StudyFindings) -> list[Column]:
    """Return a column for each setting that was tuned beside the learning rate."""

    def column(name: str) -> Column:
        heading = ("", name) if "_" not in name else (name.split("_", maxsplit=1)[0], name.split("_")[1])
        return Column(heading, lambda _, row: format_setting(name, dict(row.settings).get(name)), 4)

    return [column(name) for name in dict.fromkeys(name for row in findings.batch_sizes for name, _ in row.settings)]


def _fill(column: Column, findings: StudyFindings) -> Cells:
    rows = tuple(column.cell(findings, row) for row in findings.batch_sizes)
    width = max(len(text) for text in (*column.heading, *rows))
    return Cells(column.heading, rows, width, column.importance, column.left)


def _choose_columns(columns: list[Cells], room: int) -> list[Cells]:
    """Return the columns that hold something and fit into `room`; the most important ones are kept first."""
    used, kept = -len(GAP), []
    for column in sorted(columns, key=lambda column: column.importance):
        empty = not any(text.strip(MISSING) for text in column.rows)
        needed = column.width + len(GAP)
        if column.importance <= 3 or (not empty and used + needed <= room):
            kept.append(column)
            used += needed
    return [column for column in columns if column in kept]


def _two_lines(label: str) -> tuple[str, str]:
    first, _, second = label.partition(" ")
    return first, second


def _size_cell(findings: StudyFindings, row: BatchSizeRow) -> str:
    recommended = findings.answer.recommended
    mark = "> " if recommended is not None and recommended.batch_size == row.batch_size else ""
    return f"{mark}{row.batch_size}"


def _rate_cell(_: StudyFindings, row: BatchSizeRow) -> str:
    return format_learning_rate(row.learning_rate) + ("*" if "at_edge" in row.flags else "")


def _mean_cell(findings: StudyFindings, estimate: Estimate | None) -> str:
    return format_metric(None if estimate is None else estimate.mean, findings.metric)


def _mean_number(estimate: Estimate | None) -> str:
    return MISSING if estimate is None else format_number(float(f"{estimate.mean:.3g}"))


def _table_note(findings: StudyFindings) -> str:
    sentences = [f"{sentence_case(findings.metric.name)}: mean of {seeds_words(findings)}"]
    if any(row.valid_metric.low is not None for row in findings.batch_sizes):
        sentences[0] += f" ({interval_words(findings)})"
    if findings.answer.best_batch_size is not None:
        sentences.append(f"Ties: equivalent to the best within {judged_margin(findings)}")
    sentences.append("Decided on validation data alone" if findings.race is None else race_note(findings.race))
    if findings.answer.recommended is not None:
        sentences.append(">: recommended")
    if any("at_edge" in row.flags for row in findings.batch_sizes):
        sentences.append("*: at the edge of the learning rates tried")
    if any(row.gradient_accumulation_steps > 1 for row in findings.batch_sizes):
        sentences.append(accumulation_words(findings.batch_sizes))
    return ". ".join(sentences) + "."


def _print_budgets(findings: StudyFindings, console: Console) -> None:
    asked = findings.under_other_budgets if findings.race is None else {}
    names = {name: f"Under {words}" for name, words in BUDGET_NAMES.items() if name in asked}
    width = max((len(label) for label in names.values()), default=0)
    for name, label in names.items():
        _say(console, verdict_words(findings.under_other_budgets[name]), mark=f"{label:<{width}}  ")


def _print_next(findings: StudyFindings, console: Console, places: Places) -> None:
    label = findings.study
    command = f"batchlab report {shlex.quote(label.name or label.id)}"
    if places.store is not None:
        command += f" --store {shlex.quote(places.store)}"
    _print_line(console, f"Report  {command if places.report is None else places.report}")
    if places.store is not None:
        _print_line(console, f"Store   {places.store}")
    _print_line(console, f"Study   {label.name} ({label.id})" if label.name else f"Study   {label.id}")


def _say(console: Console, text: str = "", *, mark: str = "", style: str = "") -> None:
    """Print a text wrapped to the console's width, behind a mark that stands alone."""
    room = max(20, console.width - len(mark))
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    for index, line in enumerate(lines):
        _print_line(console, Text(mark if index == 0 else " " * len(mark)).append(line, style=style))


def _print_line(console: Console, line: str | Text) -> None:
    """Print one line as it is: never wrapped, cut or highlighted, in characters the console can write."""
    text = Text(line) if isinstance(line, str) else line
    text.plain = _writable(text.plain.rstrip(), console.encoding)
    console.print(text, highlight=False, soft_wrap=True)


def _writable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(ASCII_WORDS).encode(encoding, "replace").decode(encoding)
    return text
