"""What does a probe's advice regret, and what do rules of thumb, against the best of an exhaustive table?

    probe          `batchlab.probe` for each objective with the table's target, a few times with other seeds
    no target      the same once, told only how long a training may be: judged here by a target it did not know
    largest        the largest batch that fits: what the finders of Lightning, Accelerate and the HF Trainer come to;
                   here all of the data, which memory holds on any machine
    fastest        most examples a second: doubled from 2 until they fall, up to a fifth of the data, as Ludwig does
    noise scale    the gradient noise scale that the first probe measured
    32             batch size 32

The rules with the workload's own learning rate, and with the one that the first probe gives for that batch size. Regret
is the time, or the examples, to the target over that of the table's best, ten fresh seeds on both sides, with a paired
t interval of the logarithms. A setting that misses the target within the full budget is shown as such. The cost of a
probe is its examples over those of the table.

    python benchmarks/regret.py [NAME...] [--short] [--write]
"""

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy

import batchlab
from batchlab.records import to_json
from batchlab.studies.executors import available_cores
from evidence import write_evidence
from judging import FRESH_SEEDS, fresh_runs, judged
from regret_ratio import Regret
from rivals import fastest_per_example, largest_that_fits
from target_cases import CASES, TargetCase
from target_runs import Runner
from target_table import OBJECTIVES, Cell, ExhaustiveTable, complete_tables

SHORT = ("digits-mlp", "quadratic")
REPETITIONS = 3
OWN, ADVISED = "own", "probe's"
PROBE, NO_TARGET = "probe", "no target"
AIM = "aim of the probe: regret 1.10 at the median and 1.30 at worst, .02 of the cost"


@dataclass(frozen=True, slots=True)
class Row:
    """What an advice regrets; `cell` and `regret` are None where it names no batch size, `share` where it is free."""

    workload: str
    objective: str
    rule: str
    rate: str
    cell: Cell | None
    share: float | None
    regret: Regret | None


@dataclass(frozen=True, slots=True)
class Advice:
    """What a probe says: its setting, its learning rate at each batch size, the noise scale, the examples it used."""

    cell: Cell
    rates: Mapping[int, float]
    noise_scale: float | None
    spent: float

    def rate_at(self, batch_size: int) -> float:
        """Return the learning rate for any batch size, interpolated in both logarithms; at the ends that of the end.

        >>> Advice((8, 0.1), {8: 0.1, 32: 0.4}, None, 0.0).rate_at(16)
        0.2
        """
        sizes = sorted(self.rates)
        rates = numpy.log([self.rates[size] for size in sizes])
        return float(f"{numpy.exp(numpy.interp(numpy.log(batch_size), numpy.log(sizes), rates)):.4g}")


def advice_of(case: TargetCase, objective: str, seed: int, target: float | None) -> Advice:
    """Return what a probe says, asked through the public interface for a training of at most the full budget."""
    found = batchlab.probe(case.workload, objective, examples=case.examples, target=target, seed=seed)
    use = found.recommendation
    return Advice(
        cell=(use.batch_size, use.learning_rate),
        rates={row.batch_size: row.learning_rate for row in found.speed},
        noise_scale=found.noise.value,
        spent=found.findings.examples,
    )


def batch_sizes(table: ExhaustiveTable, noise: float | None) -> dict[str, int | None]:
    """Return what each rule of thumb says."""
    case = table.case
    assert table.step_seconds is not None
    return {
        "largest": largest_that_fits(case),
        "fastest": fastest_per_example(table.step_seconds.seconds, case.n_train),
        "noise scale": None if noise is None else min(max(round(noise), 1), case.n_train),
        "32": case.base_batch_size,
    }


def rules_of_thumb(table: ExhaustiveTable, objective: str, advice: Advice) -> list[Row]:
    """Return the rules with each learning rate, not judged yet."""
    case, rows = table.case, []
    for rule, size in batch_sizes(table, advice.noise_scale).items():
        for rate in (OWN, ADVISED):
            value = None if size is None else case.base_learning_rate if rate == OWN else advice.rate_at(size)
            cell = None if size is None or value is None else (size, value)
            rows.append(Row(case.workload, objective, rule, rate, cell, None, None))
    return rows


def judged_advice(table: ExhaustiveTable, repetitions: int, runner: Runner) -> list[Row]:
    """Return what probes and rules of thumb regret on one table."""
    case, rows = table.case, []
    for objective in OBJECTIVES:
        advices = [advice_of(case, objective, seed, case.target) for seed in range(1, repetitions + 1)]
        blind = advice_of(case, objective, 1, None)
        for rule, one in [*((PROBE, one) for one in advices), (NO_TARGET, blind)]:
            rows.append(Row(case.workload, objective, rule, ADVISED, one.cell, one.spent / table.spent, None))
        rows += rules_of_thumb(table, objective, advices[0])
    fresh = fresh_runs(table, [row.cell for row in rows if row.cell is not None], runner)
    return [replace(row, regret=row.cell and judged(table, row.objective, row.cell, fresh)) for row in rows]


def show(rows: Sequence[Row]) -> None:
    """Print a line an advice."""
    for row in rows:
        found = "no batch size" if row.cell is None else f"{row.cell[0]:>6}@{row.cell[1]:<9.4g} {row.regret}"
        share = "" if row.share is None else f"{row.share:.3f}"
        print(f"{row.workload:11} {row.objective:9} {row.rule:12} {row.rate:8}{share:>6} {found}", flush=True)


def sum_up(rows: Sequence[Row]) -> None:
    """Print how the probes did in all."""
    for objective in OBJECTIVES:
        probes = [row for row in rows if row.rule == PROBE and row.objective == objective]
        values = [row.regret.value for row in probes if row.regret is not None]
        missed = sum(row.regret is not None and row.regret.is_bound for row in probes)
        share = statistics.median(row.share for row in probes if row.share is not None)
        print(
            f"Probes, {objective}: regret {statistics.median(values):.2f} at the median, {max(values):.2f} at worst",
            end="",
        )
        print(f" ({missed} of {len(values)} missed the target at times), {share:.3f} of the cost")
    print(AIM)


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
            found = judged_advice(table, 1 if asked.short else REPETITIONS, runner)
        show(found)
        rows += found
    sum_up(rows)
    if asked.write:
        settings = {"fresh_seeds": FRESH_SEEDS, "aim": AIM, "seconds": round(time.monotonic() - started)}
        write_evidence("regret", settings, to_json(rows))


if __name__ == "__main__":
    main()
