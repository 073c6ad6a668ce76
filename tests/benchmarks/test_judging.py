import math

import pytest

from judging import FRESH_SEEDS, fresh_requests, fresh_runs, judged
from target_cases import TargetCase
from target_runs import Request
from target_table import Cell, ExhaustiveTable, StepSeconds, TargetRun

CASE = TargetCase("tiny", 0.1, 100, 2, 0.1, (8, 32))
BEST, OTHER = (32, 0.1), (8, 0.05)


def runs(examples: float) -> tuple[TargetRun, ...]:
    return tuple(TargetRun("reached", 0, examples, examples) for _ in range(FRESH_SEEDS))


TABLE = ExhaustiveTable(CASE, {}, StepSeconds({8: 1.0, 32: 2.0}, 1, False), fresh={BEST: runs(100)})


class Counting:
    """A runner whose runs need 150 examples, and which keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def runs(self, requests):  # type: ignore[no-untyped-def]
        for request in requests:
            self.asked.append(request)
            yield TargetRun("reached", 0, 150, 150)


def test_the_runs_of_the_table_are_not_repeated_and_each_cell_runs_once() -> None:
    runner = Counting()
    found = fresh_runs(TABLE, [OTHER, BEST, OTHER], runner)  # type: ignore[arg-type]
    assert runner.asked == fresh_requests(OTHER)
    assert found[OTHER] == runs(150) and found[BEST] == runs(100)


def test_the_seeds_of_both_sides_are_the_same() -> None:
    def seeds(cell: Cell) -> list[tuple[int, int]]:
        return [(request.base_seed, request.seed) for request in fresh_requests(cell)]

    assert seeds(OTHER) == seeds(BEST)


def test_regret_is_in_the_unit_of_the_objective() -> None:
    fresh = {**TABLE.fresh, OTHER: runs(150)}
    assert judged(TABLE, "examples", OTHER, fresh).value == pytest.approx(1.5)
    assert judged(TABLE, "time", OTHER, fresh).value == pytest.approx(1.5 * (1 / 8) / (2 / 32))


def test_a_run_that_missed_counts_as_a_full_budget() -> None:
    fresh = {**TABLE.fresh, OTHER: tuple(TargetRun("diverged", 16) for _ in range(FRESH_SEEDS))}
    found = judged(TABLE, "examples", OTHER, fresh)
    assert (found.value, found.high, found.n_reached) == (pytest.approx(2.0), math.inf, 0)
