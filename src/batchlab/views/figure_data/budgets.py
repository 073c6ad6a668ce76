"""The same comparison under each budget."""

from dataclasses import dataclass

from batchlab.analyze.findings import Answer, StudyFindings
from batchlab.analyze.wording import say_list
from batchlab.views.wording import (
    BUDGET_NAMES,
    format_margin,
    places_by_size,
    seeds_words,
    sentence_case,
    verdict_words,
)


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """The comparison under one budget: each batch size with its place, none where it cannot be given."""

    name: str
    words: str
    places: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class BudgetComparison:
    """The same comparison under equal examples, equal steps and equal time."""

    title: str
    caption: str
    batch_sizes: tuple[int, ...]
    rows: tuple[BudgetRow, ...]


def budget_comparison(findings: StudyFindings) -> BudgetComparison | None:
    """Return the places of all batch sizes under each budget, or None where no other budget could be given."""
    answers = {name: findings.under_other_budgets.get(name) for name in BUDGET_NAMES}
    if not any(answer is not None and answer.best_batch_size is not None for answer in answers.values()):
        return None
    sizes = tuple(row.batch_size for row in findings.batch_sizes)
    rows = tuple(
        BudgetRow(sentence_case(BUDGET_NAMES[name]), verdict_words(answer), _places(sizes, answer))
        for name, answer in answers.items()
    )
    missing = [row.name.lower() for row in rows if not row.places]
    left_out = f" Not available: {' and '.join(missing)}." if missing else ""
    return BudgetComparison(
        title=_budget_title(answers),
        caption=f"Places on validation {findings.metric.name} over {seeds_words(findings)}, each budget judged by the "
        f"same rule: ties are equivalent to the best within {format_margin(findings.metric)}.{left_out}",
        batch_sizes=sizes,
        rows=rows,
    )


def _places(batch_sizes: tuple[int, ...], answer: Answer | None) -> tuple[tuple[int, str], ...]:
    if answer is None:
        return ()
    named = {} if answer.verdict == "no-signal" else places_by_size(answer)
    return tuple((size, named.get(size, "not ranked")) for size in batch_sizes)


def _budget_title(answers: dict[str, Answer | None]) -> str:
    winners = [
        {answer.best_batch_size, *answer.tied_batch_sizes}
        for answer in answers.values()
        if answer is not None and answer.best_batch_size is not None
    ]
    common = sorted(size for size in set.intersection(*winners) if size is not None)
    if len(winners) < 2:
        return "Under one budget only could the batch sizes be compared"
    if not common:
        return "What is best depends on what is held equal"
    held = "whatever is held equal" if len(winners) == len(answers) else "under both budgets that could be compared"
    verb = "are" if len(common) > 1 else "is"
    return f"Batch size {say_list(tuple(common))} {verb} best or tied {held}"
