"""The controls of a study, each with its table and with words that say what it is."""

from dataclasses import dataclass

from batchlab.analyze.findings import ControlFindings, ControlRow, StudyFindings
from batchlab.views.report_tables import Cell, Column, TextTable, difference_heading, metric_column, table_of, two_lines
from batchlab.views.wording import format_estimate, format_learning_rate, sentence_case

WORDS = {
    "lr": (
        "Learning rate",
        "Every larger batch size at the learning rate of the smallest, at that rate scaled by the usual rule, and at "
        "its own.",
    ),
    "equal-updates": (
        "Equal updates",
        "The largest batch size, trained for as many updates as the smallest makes, at its own learning rate.",
    ),
    "extra-training": (
        "Extra training",
        "The smallest batch size goes on unchanged for as many examples as equal updates take, so that more training "
        "is not mistaken for more updates.",
    ),
    "noise": (
        "Injected noise",
        "Every update of the largest batch size weights its examples at random, so that its gradient has the mean of "
        "the large batch and the covariance of the small one (their first two moments only); its learning rate is "
        "tuned for that.",
    ),
    "aa": (
        "A/A",
        "Two arms that differ in nothing but chance, each tuned for itself: whatever tells them apart would be false.",
    ),
    "random-labels": (
        "Random labels",
        "The same study with the labels of every split permuted: nothing can be learned, and no batch size is better.",
    ),
}


@dataclass(frozen=True, slots=True)
class ControlPart:
    """One control for the report; the table is None where the control has no arms yet."""

    title: str
    what: str
    sentence: str
    table: TextTable | None


def control_parts(findings: StudyFindings) -> tuple[ControlPart, ...]:
    """Return the controls in the order in which they were found."""
    return tuple(
        ControlPart(*WORDS[one.name], _without_title(one), _table(one, findings) if one.rows else None)
        for one in findings.controls
    )


def _without_title(control: ControlFindings) -> str:
    title, _, rest = control.sentence.partition(": ")
    return sentence_case(rest) if title == WORDS[control.name][0] else control.sentence


def _table(control: ControlFindings, findings: StudyFindings) -> TextTable:
    rows, metric = control.rows, findings.metric
    columns: list[Column] = [
        ("Batch size", True, [Cell(str(row.batch_size)) for row in rows]),
        ("Arm", False, [Cell(row.label) for row in rows]),
        ("Learning rate", True, [Cell(format_learning_rate(row.learning_rate)) for row in rows]),
        ("Updates", True, [Cell(f"{row.n_steps:,}") for row in rows]),
        metric_column(metric, "validation", [row.valid_metric for row in rows]),
        ("Held against", False, [_against(row) for row in rows]),
        (difference_heading(metric), True, [_loses(row, findings) for row in rows]),
        ("Seeds", True, [Cell(str(row.n_seeds)) for row in rows]),
    ]
    return table_of(columns, ["" for _ in rows])


def _against(row: ControlRow) -> Cell:
    return (
        Cell("", "") if row.against_batch_size is None else Cell(str(row.against_batch_size), row.against_label or "")
    )


def _loses(row: ControlRow, findings: StudyFindings) -> Cell:
    return Cell("diverged") if "diverged" in row.flags else two_lines(format_estimate(row.loses, findings.metric))
