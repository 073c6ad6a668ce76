"""What does the study's search cost beside an exhaustive table, and how good is what it finds?

For every table: studies with its target and budget, each with a base seed of its own and a fresh store. Their cost is
the examples of all their trials, each up to its end, over those of the table, in which a trial ends at its first
crossing or with its budget. Their regret is the time to the target at the setting they recommend over that at the
table's best, by its step times: ten fresh seeds on both sides, with a paired t interval of the logarithms. Beside them
random search and Optuna's TPE in the table's own box, each stopped when it has spent what that study has.

    python benchmarks/answer_cost.py [NAME...] [--short] [--write]
"""

import argparse
import functools
import math
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import batchlab
from batchlab.records import to_json
from batchlab.studies.executors import available_cores
from evidence import write_evidence
from judging import FRESH_SEEDS, fresh_runs, judged
from regret_ratio import Regret
from rivals import Found, random_search, tpe_search
from target_cases import CASES, TargetCase
from target_runs import Request, Runner, run_request
from target_table import TIME, Cell, ExhaustiveTable, TargetRun, complete_tables

REPETITIONS = {"digits-mlp": 3, "digits-cnn": 3, "mnist-mlp": 2, "quadratic": 5}
SHORT = ("digits-mlp", "quadratic")
RIVAL_SEED = 3001
STUDY, RANDOM, TPE = METHODS = ("study", "random search", "TPE")
ALL = "all"
AIM = "aim of the study: .10 of the cost, regret 1.05 at the median and 1.15 at worst"
COLUMNS = {"share": "8.3f", "median": "9.2f", "worst": "9.2f", "missed": "9.0f"}


@dataclass(frozen=True, slots=True)
class Row:
    """What one search came to; `cell` and `regret` are None where it found nothing."""

    workload: str
    method: str
    repetition: int
    share: float
    n_trials: int
    cell: Cell | None
    regret: Regret | None


def study_of(case: TargetCase, seed: int) -> Found:
    """Return what a study comes to, asked through the public interface as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        found = batchlab.study(
            case.workload,
            case.batch_sizes,
            target=case.target,
            search="model",
            examples=case.examples,
            seed=seed,
            store=Path(folder) / "answer.db",
        )
    use = found.answer.recommended
    cell = None if use is None else (use.batch_size, use.learning_rate)
    return Found(cell, sum(trial.examples for trial in found.trials), len(found.trials))


def rival_of(method: str, table: ExhaustiveTable, budget: float, repetition: int) -> Found:
    """Return what random search or TPE comes to at the cost of a study; runs in the process that asks."""
    name, count = table.case.workload, 0

    def run(cell: Cell) -> TargetRun:
        nonlocal count
        count += 1
        return run_request(name, Request(*cell, RIVAL_SEED + repetition, count))

    search = random_search if method == RANDOM else tpe_search
    return search(table.case, run, functools.partial(table.example_cost, TIME), budget, RIVAL_SEED + repetition)


def compared(table: ExhaustiveTable, repetitions: int, runner: Runner) -> list[Row]:
    """Return what studies and rivals come to on one table, and what they regret."""
    studies = [study_of(table.case, seed) for seed in range(1, repetitions + 1)]
    methods = (RANDOM, TPE) if find_spec("optuna") else (RANDOM,)
    jobs = [(method, table, found.spent, number) for number, found in enumerate(studies) for method in methods]
    rivals = list(runner.map(rival_of, *zip(*jobs, strict=True)))
    searches = [(STUDY, repetition, found) for repetition, found in enumerate(studies)]
    searches += [(method, repetition, found) for (method, *_, repetition), found in zip(jobs, rivals, strict=True)]
    fresh = fresh_runs(table, [found.cell for *_, found in searches if found.cell is not None], runner)
    return [
        Row(
            workload=table.case.workload,
            method=method,
            repetition=repetition,
            share=found.spent / table.spent,
            n_trials=found.n_trials,
            cell=found.cell,
            regret=None if found.cell is None else judged(table, TIME, found.cell, fresh),
        )
        for method, repetition, found in searches
    ]


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Return the median cost, the median regret and the worst of some searches; a search that found nothing is worst.

    Where a run missed the target, what is known of the regret is that it is larger.
    """
    values = [math.inf if row.regret is None else row.regret.value for row in rows]
    return {
        "share": statistics.median(row.share for row in rows),
        "median": statistics.median(values),
        "worst": max(values),
        "missed": sum(row.regret is None or row.regret.is_bound for row in rows),
        "searches": len(rows),
    }


def grouped(rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, float]]:
    """Return the summary of each method by workload, and over all workloads at the end."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        for workload in (row.workload, ALL):
            groups[workload, row.method].append(row)
    order = sorted(groups, key=lambda key: (key[0] == ALL, key[0], METHODS.index(key[1])))
    return {key: summary(groups[key]) for key in order}


def show(rows: Sequence[Row]) -> None:
    """Print a line a search."""
    for row in sorted(rows, key=lambda row: (row.workload, METHODS.index(row.method), row.repetition)):
        found = "nothing found" if row.cell is None else f"{row.cell[0]:>5}@{row.cell[1]:<9g} {row.regret}"
        print(f"{row.workload:11} {row.method:14}{row.share:7.3f}{row.n_trials:5} trials  {found}", flush=True)


def sum_up(rows: Sequence[Row]) -> None:
    """Print a line a method."""
    print(f"\n{'':26}{'cost':>8}{'median':>9}{'worst':>9}{'missed':>9}     {AIM}")
    for (workload, method), group in grouped(rows).items():
        numbers = "".join(f"{group[name]:{width}}" for name, width in COLUMNS.items())
        print(f"{workload:11} {method:14}{numbers} of {group['searches']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("workloads", nargs="*", default=list(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--short", action="store_true", help=f"{' and '.join(SHORT)} once only: two minutes")
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    rows: list[Row] = []
    started = time.monotonic()
    for table in complete_tables(CASES[name] for name in (SHORT if asked.short else asked.workloads)):
        with Runner(table.case, available_cores()) as runner:
            found = compared(table, 1 if asked.short else REPETITIONS[table.case.workload], runner)
        show(found)
        rows += found
    sum_up(rows)
    if find_spec("optuna") is None:
        print("TPE is left out, as Optuna is not installed: pip install 'batchlab[bench]'")
    if asked.write:
        settings = {"fresh_seeds": FRESH_SEEDS, "aim": AIM, "seconds": round(time.monotonic() - started)}
        write_evidence("answer-cost", settings, to_json(rows))


if __name__ == "__main__":
    main()
