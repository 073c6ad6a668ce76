"""Make the exhaustive table of a workload: examples to a target at every batch size and learning rate of a box.

Three seeds a cell; the five best cells in seconds and the five best in examples are then repeated with ten fresh seeds.
A table that was interrupted is gone on with, a finished one is only shown. `--times` measures the seconds of a step,
and is for a quiet machine: run the script once more without it, as other cells may then be the fastest.

    python benchmarks/exhaustive_table.py [NAME...] [--workers N] [--pilot | --times | --show]
"""

import argparse
import dataclasses
import datetime
import itertools
import platform
from collections.abc import Sequence
from importlib.metadata import version

import torch

from batchlab.studies.executors import available_cores
from batchlab.train.threads import thread_counts
from batchlab.train.timing import time_steps
from batchlab.train.trial import run_trial
from batchlab.workloads.loading import load_workload
from judging import fresh_requests
from spread import busy_cores
from target_cases import CASES, TargetCase, powers_of_two
from target_runs import Request, Runner, settings_of
from target_table import OBJECTIVES, Cell, ExhaustiveTable, StepSeconds, geometric_mean, load_table, path_of, save_table

SEEDS, BEST = 3, 5
BOX_SEED, PILOT_SEED = 1001, 77
PILOT_SEEDS, PILOT_SHARE = 5, 1 / 3
CALM_CORES = 0.2


def opened(case: TargetCase) -> ExhaustiveTable:
    """Return the stored table, or an empty one."""
    if path_of(case.workload).exists():
        return load_table(case)
    today = datetime.date.today().isoformat()
    made = {"date": today, **{name: version(name) for name in ("numpy", "torch")}, "python": platform.python_version()}
    return ExhaustiveTable(case, made)


def fill(table: ExhaustiveTable, runner: Runner) -> None:
    """Run what is missing of the box, then of the repetitions of its best cells."""
    _run_cells(table, runner, table.case.cells(), fresh=False)
    if table.step_seconds is None:
        print("The best cells are repeated once the seconds of a step are known: run it with --times, then again.")
        return
    best = {cell for objective in OBJECTIVES for cell in table.ranked(objective)[:BEST]}
    _run_cells(table, runner, sorted(best), fresh=True)


def _run_cells(table: ExhaustiveTable, runner: Runner, cells: Sequence[Cell], *, fresh: bool) -> None:
    found = table.fresh if fresh else table.cells
    missing = [cell for cell in cells if cell not in found]
    asked = {
        cell: fresh_requests(cell) if fresh else [Request(*cell, BOX_SEED, seed) for seed in range(SEEDS)]
        for cell in missing
    }
    runs = runner.runs(itertools.chain.from_iterable(asked.values()))
    for number, (cell, requests) in enumerate(asked.items(), start=1):
        found[cell] = tuple(itertools.islice(runs, len(requests)))
        save_table(table)
        states = " ".join(f"{run.point:.0f}" if run.status == "reached" else run.status for run in found[cell])
        print(f"{number:4} of {len(missing)}  {cell[0]:5}@{cell[1]:<9g} {states}", flush=True)


def measure_times(table: ExhaustiveTable) -> None:
    """Measure the seconds of a step at all powers of two up to four times the largest of the box, as data allow."""
    case, busy = table.case, busy_cores()
    largest = min(case.n_train, 4 * max(case.batch_sizes))
    sizes = sorted({*powers_of_two(1, largest), largest})
    workload = load_workload(case.workload)
    settings = [settings_of(case, workload, Request(size, case.base_learning_rate, BOX_SEED, 0)) for size in sizes]
    most = available_cores()
    found = {one.batch_size: one.median_s for one in time_steps(workload, settings, threads=thread_counts(most))}
    provisional = max(busy, busy_cores()) > CALM_CORES
    table.step_seconds = StepSeconds(found, most, provisional)
    save_table(table)
    state = f"provisional: others used {busy:.1f} cores" if provisional else "quiet"
    print(f"{case.workload}: {state}, up to {most} threads, microseconds of a step by batch size:")
    print("  ".join(f"{size}: {1e6 * seconds:.0f}" for size, seconds in found.items()))


def show(table: ExhaustiveTable) -> None:
    """Print the best learning rate of every batch size, and which cells are the best of all."""
    case = table.case
    print(f"\n{case.workload}: to {case.target:g} within {case.examples:,} examples; the box cost {table.spent:,.0f}")
    print(f"{'size':>6}{'rate':>9}{'octave':>8}{'reached':>9}{'steps':>9}{'examples':>10}{'ms':>9}")
    ranked = table.ranked("examples")
    for size in case.batch_sizes:
        of_size = [cell for cell in table.cells if cell[0] == size]
        reached = sum(run.status == "reached" for cell in of_size for run in table.cells[cell])
        best = next((cell for cell in ranked if cell[0] == size), None)
        share = f"{reached}/{sum(len(table.cells[cell]) for cell in of_size)}"
        if best is None:
            print(f"{size:>6}{'none whose every seed reached the target':>44}   {share}")
            continue
        octave = next(one for one in case.octaves if case.learning_rate(size, one) == best[1])
        examples = geometric_mean(table.costs("examples", best, table.cells[best]))
        edge = "edge" if octave in (case.octaves[0], case.octaves[-1]) else ""
        ms = f"{1e3 * examples * table.example_cost('time', size):9.1f}" if table.step_seconds else ""
        print(f"{size:>6}{best[1]:>9g}{octave:>8}{share:>9}{examples / size:>9.1f}{examples:>10.0f}{ms} {edge}")
    for objective in OBJECTIVES if table.fresh else ():
        size, rate = table.best(objective)
        print(f"Best in {objective} with fresh seeds: {size}@{rate:g}")


def pilot(case: TargetCase) -> None:
    """Print what the target was chosen from: the mean curve of the workload's own setting."""
    torch.set_num_threads(1)
    workload = load_workload(case.workload)
    requests = [Request(case.base_batch_size, case.base_learning_rate, PILOT_SEED, seed) for seed in range(PILOT_SEEDS)]
    endless = [dataclasses.replace(settings_of(case, workload, request), stop=None) for request in requests]
    curves = [run_trial(workload, settings).curve for settings in endless]
    for examples, *metric in zip(curves[0].examples, *(curve.valid_metric for curve in curves), strict=True):
        print(
            f"{examples:>8}  {sum(metric) / len(metric):.4f}   {' '.join(f'{value:.4f}' for value in sorted(metric))}"
        )
    at = min(range(len(curves[0].examples)), key=lambda i: abs(curves[0].examples[i] - PILOT_SHARE * case.examples))
    target = max(curve.valid_metric[at] for curve in curves)
    print(f"{case.workload}: {target:.2g} after {curves[0].examples[at]} of {case.examples} examples")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", default=list(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--workers", type=int, default=available_cores(), help="runs at a time")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--pilot", action="store_true", help="only show what the target was chosen from")
    what.add_argument("--times", action="store_true", help="only measure the seconds of a step, on a quiet machine")
    what.add_argument("--show", action="store_true", help="only show what there is")
    asked = parser.parse_args()
    for name in asked.workloads:
        case = CASES[name]
        if asked.pilot:
            pilot(case)
            continue
        table = opened(case)
        if asked.times:
            measure_times(table)
            continue
        if not asked.show:
            with Runner(case, asked.workers) as runner:
                fill(table, runner)
        show(table)


if __name__ == "__main__":
    main()
