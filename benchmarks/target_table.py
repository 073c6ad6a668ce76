"""An exhaustive table: runs to a target at every batch size and learning rate of a box, and what they say. No torch.

Stored as tables/NAME.json. In examples a crossing is as known as in steps: every step takes a batch size of them.
"""

import json
import math
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from target_cases import TargetCase

FOLDER = Path(__file__).parent / "tables"
FORMAT = "batchlab.exhaustive-table/1"
OBJECTIVES = TIME, EXAMPLES = ("time", "examples")
Cell = tuple[int, float]


@dataclass(frozen=True, slots=True)
class TargetRun:
    """How one run fared, in examples.

    `status` is reached (after more than `low` and at most `high`, interpolated at `point`), not_reached or diverged
    (within `low`, all that it trained on).
    """

    status: str
    low: float
    high: float = math.inf
    point: float = math.inf

    @property
    def spent(self) -> float:
        """Return what the run is charged: up to the evaluation that found it there, or to its end."""
        return self.high if self.status == "reached" else self.low


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """Seconds of an optimizer step by batch size, with the number of threads that is fastest there.

    `provisional` ones were measured while others used the machine.
    """

    seconds: Mapping[int, float]
    most_threads: int
    provisional: bool

    def at(self, batch_size: float) -> float:
        """Return the seconds at any batch size: interpolated in both logarithms.

        Below the smallest size measured a step takes as long as there, above the largest an example does.

        >>> times = StepSeconds({8: 1.0, 32: 4.0}, most_threads=1, provisional=False)
        >>> [times.at(size) for size in (4, 8, 16, 64)]
        [1.0, 1.0, 2.0, 8.0]
        """
        sizes = sorted(self.seconds)
        if batch_size <= sizes[0]:
            return self.seconds[sizes[0]]
        if batch_size >= sizes[-1]:
            return self.seconds[sizes[-1]] * batch_size / sizes[-1]
        above = next(index for index, size in enumerate(sizes) if size >= batch_size)
        low, high = sizes[above - 1], sizes[above]
        share = math.log(batch_size / low) / math.log(high / low)
        return float(self.seconds[low] ** (1 - share) * self.seconds[high] ** share)


@dataclass(slots=True)
class ExhaustiveTable:
    """The runs of the box by cell, those of its best cells repeated with fresh seeds, and the seconds of a step."""

    case: TargetCase
    made: Mapping[str, Any]
    step_seconds: StepSeconds | None = None
    cells: dict[Cell, tuple[TargetRun, ...]] = field(default_factory=dict)
    fresh: dict[Cell, tuple[TargetRun, ...]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Return whether the whole box was run, its best cells repeated, and the steps timed."""
        return all(cell in self.cells for cell in self.case.cells()) and bool(self.fresh and self.step_seconds)

    @property
    def spent(self) -> float:
        """Return the examples that the box cost; repetitions of its best cells are not charged."""
        return sum(run.spent for runs in self.cells.values() for run in runs)

    def example_cost(self, objective: str, batch_size: float) -> float:
        """Return what an example costs: 1 in examples, or its share of a step's seconds."""
        if objective == EXAMPLES:
            return 1.0
        if self.step_seconds is None:
            raise ValueError("Times need the seconds of a step, which this table has not; run `--times` first.")
        return self.step_seconds.at(batch_size) / batch_size

    def costs(self, objective: str, cell: Cell, runs: Iterable[TargetRun]) -> list[float]:
        """Return the examples or seconds to the target, one entry a run, infinite where it was not reached."""
        return [run.point * self.example_cost(objective, cell[0]) for run in runs]

    def ranked(self, objective: str) -> list[Cell]:
        """Return the cells whose every run reached the target, that of the least geometric mean first."""
        means = self._means(objective, self.cells)
        return sorted((cell for cell, mean in means.items() if mean < math.inf), key=means.__getitem__)

    def best(self, objective: str) -> Cell:
        """Return the cell that fresh seeds show to be the best of those repeated.

        As the least of several means it looks a little better than it is, at the cost of whatever is compared with it.
        """
        means = self._means(objective, self.fresh)
        return min(means, key=means.__getitem__)

    def _means(self, objective: str, found: Mapping[Cell, tuple[TargetRun, ...]]) -> dict[Cell, float]:
        return {cell: geometric_mean(self.costs(objective, cell, runs)) for cell, runs in found.items()}


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean; infinite where a value is.

    >>> geometric_mean([1.0, 4.0]), geometric_mean([1.0, math.inf])
    (2.0, inf)
    """
    return math.exp(statistics.fmean(map(math.log, values)))


def path_of(workload: str, folder: Path = FOLDER) -> Path:
    """Return where the table of a workload is stored."""
    return folder / f"{workload}.json"


def save_table(table: ExhaustiveTable, folder: Path = FOLDER) -> None:
    """Write the table, one line a cell, at once: a run that is killed leaves the last whole file."""
    folder.mkdir(exist_ok=True)
    times = table.step_seconds
    stored = times and {
        "seconds": dict(times.seconds),
        "most_threads": times.most_threads,
        "provisional": times.provisional,
    }
    head = {"format": FORMAT, **_question(table.case), "made": table.made, "step_seconds": stored}
    parts = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    parts += [f'"cells": {_rows(table.cells)}', f'"fresh": {_rows(table.fresh)}']
    path = path_of(table.case.workload, folder)
    unfinished = path.with_suffix(".new")
    unfinished.write_text("{\n" + ",\n".join(parts) + "\n}\n")
    os.replace(unfinished, path)


def load_table(case: TargetCase, folder: Path = FOLDER) -> ExhaustiveTable:
    """Return the stored table of a case.

    Raises:
        ValueError: it was made for another target or budget.
    """
    data = json.loads(path_of(case.workload, folder).read_text())
    expected = {"format": FORMAT, **_question(case)}
    found = {name: data.get(name) for name in expected}
    if found != expected:
        raise ValueError(
            f"The table of {case.workload} must be of {expected}, got {found}; remove it and make it anew."
        )
    times = data["step_seconds"]
    return ExhaustiveTable(
        case,
        data["made"],
        times
        and StepSeconds(
            {int(size): seconds for size, seconds in times["seconds"].items()},
            times["most_threads"],
            times["provisional"],
        ),
        _cells(data["cells"]),
        _cells(data["fresh"]),
    )


def complete_tables(cases: Iterable[TargetCase], folder: Path = FOLDER) -> Iterator[ExhaustiveTable]:
    """Yield the tables that are complete, and print which are not."""
    for case in cases:
        table = load_table(case, folder) if path_of(case.workload, folder).exists() else None
        if table is None or not table.is_complete:
            print(f"{case.workload} is left out, as its table is not complete: run exhaustive_table.py {case.workload}")
            continue
        yield table


def _question(case: TargetCase) -> dict[str, Any]:
    return {"workload": case.workload, "target": case.target, "examples": case.examples}


def _rows(found: Mapping[Cell, tuple[TargetRun, ...]]) -> str:
    """Return one line a cell: [batch size, learning rate, [[low, high, point] or [low, status], ...]]."""
    rows = [json.dumps([*cell, [_row(run) for run in runs]]) for cell, runs in sorted(found.items())]
    return "[\n" + ",\n".join(rows) + "\n]"


def _row(run: TargetRun) -> list[Any]:
    return [run.low, run.high, round(run.point, 1)] if run.status == "reached" else [run.low, run.status]


def _cells(rows: Iterable[Sequence[Any]]) -> dict[Cell, tuple[TargetRun, ...]]:
    return {(size, rate): tuple(_run(*row) for row in runs) for size, rate, runs in rows}


def _run(low: float, *rest: Any) -> TargetRun:
    return TargetRun(rest[0], low) if len(rest) == 1 else TargetRun("reached", low, *rest)
