"""The tables of the report, as text in columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchlab.analyze.findings import BatchSizeRow, CurrentRow, Estimate, MetricInfo, StudyFindings
from batchlab.analyze.target_sentences import say_target
from batchlab.analyze.tuned_choice import tuning_words
from batchlab.analyze.tuning_box import settings_of
from batchlab.analyze.wording import say_setting
from batchlab.records import Setting, StudyRecord, StudySpec, TrialResult
from batchlab.views.wording import (
    MISSING,
    format_estimate,
    format_learning_rate,
    format_learning_rate_interval,
    format_margin,
    format_metric,
    format_number,
    format_plain_estimate,
    format_seconds,
    format_setting,
    metric_label,
    metric_unit,
    place,
    place_words,
    sentence_case,
)

Column = tuple[str, bool, Sequence["Cell"]]

FLAG_WORDS = {
    "within_margin": "by less than the margin",
    "at_edge": "learning rate at the edge of the search",
    "too_few_seeds": "too few seeds for an interval",
    "diverged": "some trials diverged",
    "failed": "some trials failed",
    "target_not_reached": "target not reached by most seeds",
    "censored": "target not reached by some seeds",
    "plateaued": "some seeds level off short of the target",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and under it a smaller one, such as the interval of a mean."""

    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table; `kind` names how it looks."""

    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text; `numeric` says which columns hold numbers."""

    headings: tuple[str, ...]
    numeric: tuple[bool, ...]
    lines: tuple[Line, ...]


def batch_size_table(findings: StudyFindings) -> TextTable:
    """Return all that was found at each batch size; columns that hold nothing are left out."""
    metric, rows = findings.metric, findings.batch_sizes
    columns: list[Column] = [
        ("Batch size", True, [Cell(str(row.batch_size)) for row in rows]),
        ("Compared", False, [_place_cell(row, findings) for row in rows]),
        metric_column(metric, "validation", [row.valid_metric for row in rows]),
        metric_column(metric, "test", [row.test_metric for row in rows]),
        metric_column(metric, "train", [row.train_metric for row in rows]),
        *_run_columns(rows),
    ]
    return table_of(columns, [_kind(row, findings) for row in rows])


def current_table(findings: StudyFindings) -> TextTable | None:
    """Return today's setting above the one it is compared with, None where the study has no such setting."""
    current, metric = findings.current, findings.metric
    if current is None:
        return None
    other = [row for row in findings.batch_sizes if row.batch_size == current.against_batch_size]
    name = "recommended" if findings.answer.recommended is not None else "best mean"
    rows: list[CurrentRow | BatchSizeRow] = [current, *other]
    loses = [two_lines(format_estimate(current.loses, metric)), *(Cell(MISSING) for _ in other)]
    columns: list[Column] = [
        ("Setting", False, [Cell("today's"), *(Cell(name) for _ in other)]),
        ("Batch size", True, [Cell(str(row.batch_size)) for row in rows]),
        ("Learning rate", True, [Cell(format_learning_rate(row.learning_rate)) for row in rows]),
        metric_column(metric, "validation", [row.valid_metric for row in rows]),
        (difference_heading(metric), True, loses),
        metric_column(metric, "test", [row.test_metric for row in rows]),
        ("Updates", True, [Cell(f"{row.n_steps:,}") for row in rows]),
        ("Step time", True, [Cell(format_seconds(row.step_time_s)) for row in rows]),
        ("Total time", True, [Cell(format_seconds(row.seconds)) for row in rows]),
        ("Seeds", True, [Cell(str(row.n_seeds)) for row in rows]),
    ]
    return table_of(columns, ["" for _ in rows])


def trials_table(findings: StudyFindings, record: StudyRecord) -> TextTable:
    """Return one line a trial, in the order of the record."""
    metric = findings.metric
    headings = ("Batch size", "Learning rate", "Purpose", "Seed", "Status", "Steps", "Examples", "Validation loss")
    names = tuple(sentence_case(metric_label(metric, split)) for split in ("validation", "test"))
    if metric.name == "loss":
        names = tuple(f"{name} (metric)" for name in names)
    numeric = (True, True, False, True, False, True, True, True, True, True, True, False, False)
    lines = tuple(
        Line(tuple(map(Cell, _trial_cells(trial, findings, record.spec))), trial.status) for trial in record.trials
    )
    return TextTable((*headings, *names, "Cost", "Host", "Message"), numeric, lines)


def settings_table(findings: StudyFindings, record: StudyRecord) -> tuple[tuple[str, str], ...]:
    """Return what it takes to repeat the study, as names and values."""
    spec, info = record.spec, record.info
    examples = f"{info.n_train:,} to train, {info.n_valid:,} to validate, {info.n_test:,} to test"
    rows = [
        ("Study", f"{record.name} ({record.id})" if record.name else record.id),
        ("Asked", record.created),
        ("Workload", f"{info.name}, fingerprint {info.fingerprint}"),
        ("Data", f"{examples}{'; each seed draws its own' if info.redraws else ''}"),
        ("Parameters", f"{info.n_parameters:,}"),
        ("Budget", f"{format_number(spec.budget.value)} {spec.budget.kind} for every batch size"),
        ("Optimizer", f"{spec.optimizer} ({settings_text(spec.optimizer_settings, without='lr')})"),
        ("Learning rate", _learning_rate_text(record)),
        ("Tuned", tuning_words(spec) if spec.tune else ""),
        ("Schedule", f"{spec.schedule.kind}, warm-up over {100 * spec.schedule.warmup:g}% of the examples"),
        ("Last batch of an epoch", spec.last_batch),
        ("Micro-batches", "" if spec.micro_batch_size is None else f"at most {spec.micro_batch_size} {info.unit}s"),
        ("Today's setting", _current_text(record)),
        ("Seeds", f"{_seeds_text(record)} to compare, {_tuning_seeds(record)} to tune, base seed {spec.seed}"),
        ("Target", "" if spec.target is None else say_target(findings.metric, spec.target)),
        ("Margin, level", f"{format_margin(findings.metric)}, {100 * findings.level:g}%"),
        ("Trials", _counts_text(findings)),
        ("Device", findings.device),
        ("Versions", ", ".join(f"{name} {version}" for name, version in findings.versions.items())),
    ]
    return tuple((name, text) for name, text in rows if text)


def settings_text(settings: Sequence[tuple[str, Setting]], *, without: str = "") -> str:
    """Return settings as "momentum=0.9, weight_decay=0"."""
    return ", ".join(f"{key}={value}" for key, value in settings if key != without) or "default settings"


def table_of(columns: Sequence[Column], kinds: Sequence[str]) -> TextTable:
    """Return the columns that hold something as a table, a line of which looks as its kind says."""
    kept = [column for column in columns if any(cell.text not in (MISSING, "") for cell in column[2])]
    lines = zip(*(cells for _, _, cells in kept), strict=True)
    return TextTable(
        headings=tuple(name for name, _, _ in kept),
        numeric=tuple(numeric for _, numeric, _ in kept),
        lines=tuple(Line(tuple(cells), kind) for cells, kind in zip(lines, kinds, strict=True)),
    )


def metric_column(metric: MetricInfo, split: str, estimates: Sequence[Estimate | None]) -> Column:
    """Return the column of the metric on one split, with intervals."""
    cells = [two_lines(format_estimate(estimate, metric)) for estimate in estimates]
    return sentence_case(metric_label(metric, split)), True, cells


def difference_heading(metric: MetricInfo) -> str:
    """Return the heading of a column of what arms lose, with its unit."""
    return f"Loses in validation {metric.name}" + (", points" if metric_unit(metric) else "")


def _run_columns(rows: tuple[BatchSizeRow, ...]) -> list[Column]:
    accumulated = any(row.gradient_accumulation_steps > 1 for row in rows)
    return [
        ("Learning rate", True, [_learning_rate_cell(row) for row in rows]),
        *_tuned_columns(rows),
        ("Updates", True, [Cell(f"{row.n_steps:,}") for row in rows]),
        ("Micro-batches", True, [Cell(_micro_batches(row) if accumulated else MISSING) for row in rows]),
        ("Step time", True, [Cell(format_seconds(row.step_time_s)) for row in rows]),
        ("Total time", True, [Cell(format_seconds(row.seconds)) for row in rows]),
        ("Steps to target", True, [two_lines(format_plain_estimate(row.steps_to_target)) for row in rows]),
        ("Examples to target", True, [two_lines(format_plain_estimate(row.examples_to_target)) for row in rows]),
        ("Seconds to target", True, [two_lines(format_plain_estimate(row.seconds_to_target)) for row in rows]),
        ("Joules to target", True, [two_lines(format_plain_estimate(row.joules_to_target)) for row in rows]),
        ("Seeds", True, [Cell(str(row.n_seeds)) for row in rows]),
        ("Remarks", False, [Cell("; ".join(FLAG_WORDS[f] for f in row.flags if f in FLAG_WORDS)) for row in rows]),
    ]


def _tuned_columns(rows: tuple[BatchSizeRow, ...]) -> list[Column]:
    """Return a column for each setting that was tuned beside the learning rate."""
    names = dict.fromkeys(name for row in rows for name, _ in row.settings)
    return [
        (
            sentence_case(name.replace("_", " ")),
            name != "schedule",
            [Cell(format_setting(name, dict(row.settings).get(name))) for row in rows],
        )
        for name in names
    ]


def two_lines(text: str) -> Cell:
    """Return "3.42 (3.11–3.73)" with its interval as detail."""
    mean, _, interval = text.partition(" (")
    return Cell(mean, interval.removesuffix(")"))


def _place_cell(row: BatchSizeRow, findings: StudyFindings) -> Cell:
    recommended = findings.answer.recommended
    chosen = recommended is not None and recommended.batch_size == row.batch_size
    return Cell(place_words(row, findings.answer), "recommended" if chosen else "")


def _kind(row: BatchSizeRow, findings: StudyFindings) -> str:
    return place(row, findings.answer).replace(" ", "-")


def _learning_rate_cell(row: BatchSizeRow) -> Cell:
    return Cell(format_learning_rate(row.learning_rate), format_learning_rate_interval(row))


def _micro_batches(row: BatchSizeRow) -> str:
    return f"{row.gradient_accumulation_steps} × {row.micro_batch_size}"


def _trial_cells(trial: TrialResult, findings: StudyFindings, spec: StudySpec) -> tuple[str, ...]:
    settings = trial.settings
    tuned = (say_setting(*one) for one in settings_of(spec, settings))
    return (
        str(settings.batch_size),
        ", ".join([format_learning_rate(settings.learning_rate), *tuned]),
        settings.purpose,
        str(settings.seed) + (f"/{settings.replica}" if settings.replica else ""),
        trial.status,
        f"{trial.steps:,}",
        f"{trial.examples:,}",
        format_number(trial.valid_loss),
        format_metric(trial.valid_metric, findings.metric),
        format_metric(trial.test_metric, findings.metric),
        format_seconds(trial.seconds),
        trial.host,
        trial.message,
    )


def _learning_rate_text(record: StudyRecord) -> str:
    spec = record.spec
    base = f"{spec.base_lr:.6g} at batch size {spec.base_batch_size}"
    return {
        "tune": f"searched at every batch size, beginning around {base}",
        "fixed": f"{spec.base_lr:.6g} at every batch size",
    }.get(spec.lr_mode, f"{spec.lr_mode} rule from {base}")


def _tuning_seeds(record: StudyRecord) -> int:
    """Return how many seeds learning rates were tuned on; a race takes as many as its scouting has rounds for."""
    if record.spec.search != "model":
        return record.spec.tuning_seeds
    return len({one.settings.seed for one in record.trials if one.settings.purpose == "tune"})


def _seeds_text(record: StudyRecord) -> str:
    spec = record.spec
    return str(spec.seeds) if spec.max_seeds is None else f"{spec.seeds} to {spec.max_seeds}, as needed,"


def _current_text(record: StudyRecord) -> str:
    current = record.spec.current
    return "" if current is None else f"batch size {current.batch_size} at learning rate {current.learning_rate:g}"


def _counts_text(findings: StudyFindings) -> str:
    names = ("done", "stopped", "diverged", "failed")
    counts = [(getattr(findings.trials, name), name) for name in names]
    return (
        ", ".join(f"{count} {name}" for count, name in counts if count) + f"; took {format_seconds(findings.seconds)}"
    )
