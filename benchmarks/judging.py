"""What a setting costs and regrets, judged against the best of an exhaustive table on fresh seeds of both sides."""

import itertools
from collections.abc import Iterable, Mapping

from regret_ratio import Regret, regret
from target_runs import Request, Runner
from target_table import Cell, ExhaustiveTable, TargetRun

FRESH_SEED, FRESH_SEEDS = 2001, 10


def fresh_requests(cell: Cell) -> list[Request]:
    """Return the runs that judge a setting: with seeds that no search sees."""
    return [Request(*cell, FRESH_SEED, seed) for seed in range(FRESH_SEEDS)]


def fresh_runs(table: ExhaustiveTable, cells: Iterable[Cell], runner: Runner) -> dict[Cell, tuple[TargetRun, ...]]:
    """Return the fresh runs of each cell; those that the table has are not repeated."""
    found = dict(table.fresh)
    missing = [cell for cell in dict.fromkeys(cells) if cell not in found]
    runs = runner.runs(itertools.chain.from_iterable(map(fresh_requests, missing)))
    found |= {cell: tuple(itertools.islice(runs, FRESH_SEEDS)) for cell in missing}
    return found


def judged(table: ExhaustiveTable, objective: str, cell: Cell, fresh: Mapping[Cell, tuple[TargetRun, ...]]) -> Regret:
    """Return the regret of a cell. A run that missed the target, diverged ones included, counts as a full budget."""
    best = table.best(objective)
    limit = table.case.examples * table.example_cost(objective, cell[0])
    costs, least = (table.costs(objective, one, fresh[one]) for one in (cell, best))
    return regret(costs, [limit] * len(costs), least)
