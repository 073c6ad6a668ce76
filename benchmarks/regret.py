"""What do rules of thumb for the batch size regret, against the best of an exhaustive table?

    largest        the largest batch that fits: what the finders of Lightning, Accelerate and the HF Trainer come to;
                   here all of the data, which memory holds on any machine
    fastest        most examples a second: doubled from 2 until they fall, up to a fifth of the data, as Ludwig does
    noise scale    the gradient noise scale at the end of a pilot of a third of the budget, batch size 32
    32             batch size 32

Each with the workload's own learning rate, and with that rate moved from batch size 32 in proportion to the batch size.
Regret is the time, or the examples, to the target over that of the table's best, ten fresh seeds on both sides, with a
paired t interval of the logarithms. A setting that misses the target within the full budget is shown as such.

    python benchmarks/regret.py [NAME...] [--short] [--write]
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from batchlab.numerics.rules import scale_learning_rate
from batchlab.records import Budget
from batchlab.studies.executors import available_cores
from batchlab.studies.measuring import MeasurementPlan, measure_workload
from evidence import write_evidence
from judging import FRESH_SEEDS, fresh_runs, judged
from regret_ratio import Regret
from rivals import fastest_per_example, largest_that_fits
from target_cases import CASES, TargetCase
from target_runs import Runner
from target_table import OBJECTIVES, Cell, ExhaustiveTable, complete_tables

SHORT = ("digits-mlp", "quadratic")
PILOT_SHARE, PILOT_SEED, CHECKPOINTS, DRAWS = 1 / 3, 4001, 4, 20
OWN, MOVED = RATES = ("own", "moved")


@dataclass(frozen=True, slots=True)
class Row:
    """What a rule regrets; `cell` and `regret` are None where it gives no batch size."""

    workload: str
    objective: str
    rule: str
    rate: str
    cell: Cell | None
    regret: Regret | None


def noise_scale(case: TargetCase) -> float | None:
    """Return the noise scale where a pilot ends, None where it is not resolved."""
    budget = Budget("examples", round(case.examples * PILOT_SHARE))
    plan = MeasurementPlan(case.base_batch_size, budget, checkpoints=CHECKPOINTS, draws=DRAWS, seed=PILOT_SEED)
    return measure_workload(case.workload, plan).checkpoints[-1].noise_scale.value


def batch_sizes(table: ExhaustiveTable, noise: float | None) -> dict[str, int | None]:
    """Return what each rule says."""
    case = table.case
    assert table.step_seconds is not None
    return {
        "largest": largest_that_fits(case),
        "fastest": fastest_per_example(table.step_seconds.seconds, case.n_train),
        "noise scale": None if noise is None else min(max(round(noise), 1), case.n_train),
        "32": case.base_batch_size,
    }


def settings_of_rules(case: TargetCase, sizes: dict[str, int | None]) -> dict[tuple[str, str], Cell | None]:
    """Return the settings by rule and by what becomes of the learning rate."""

    def cell(size: int | None, rate: str) -> Cell | None:
        if size is None:
            return None
        own = case.base_learning_rate
        return size, own if rate == OWN else scale_learning_rate(own, case.base_batch_size, size, "linear")

    return {(rule, rate): cell(size, rate) for rule, size in sizes.items() for rate in RATES}


def judged_rules(table: ExhaustiveTable, runner: Runner) -> list[Row]:
    """Return what every rule regrets on one table."""
    settings = settings_of_rules(table.case, batch_sizes(table, noise_scale(table.case)))
    fresh = fresh_runs(table, [cell for cell in settings.values() if cell is not None], runner)
    return [
        Row(table.case.workload, objective, rule, rate, cell, cell and judged(table, objective, cell, fresh))
        for objective in OBJECTIVES
        for (rule, rate), cell in settings.items()
    ]


def show(rows: Sequence[Row]) -> None:
    """Print a line a rule."""
    for row in rows:
        found = "no batch size" if row.cell is None else f"{row.cell[0]:>6}@{row.cell[1]:<9.4g} {row.regret}"
        print(f"{row.workload:11} {row.objective:9} {row.rule:12} {row.rate:6} {found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("workloads", nargs="*", default=list(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--short", action="store_true", help=f"{' and '.join(SHORT)} only: a minute")
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    rows: list[Row] = []
    started = time.monotonic()
    for table in complete_tables(CASES[name] for name in (SHORT if asked.short else asked.workloads)):
        with Runner(table.case, available_cores()) as runner:
            rows += judged_rules(table, runner)
    show(rows)
    if asked.write:
        settings = {"fresh_seeds": FRESH_SEEDS, "seconds": round(time.monotonic() - started)}
        write_evidence("regret", settings, [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
