"""Searches of a box that know nothing of batch sizes: at random, and Optuna's TPE; and rules that pick a batch size."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from target_cases import TargetCase
from target_table import Cell, TargetRun

# Of Ludwig's tuner: it begins at 2 and goes no further than a fifth of the data.
LUDWIG_FIRST, LUDWIG_SHARE = 2, 0.2

RunCell = Callable[[Cell], TargetRun]
ExampleCost = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to: the setting it would use, None where it found none, and the examples it spent."""

    cell: Cell | None
    spent: float
    n_trials: int


def random_search(case: TargetCase, run: RunCell, example_cost: ExampleCost, budget: float, seed: int) -> Found:
    """Return the best setting seen among ones drawn uniformly from the box, learning rates in the logarithm.

    One seed a trial; the trial that is under way when the budget is spent is finished and counts.

    Args:
        case: the box.
        run: makes a trial.
        example_cost: what an example costs at a batch size.
        budget: in examples.
        seed: of what is drawn.
    """
    generator = random.Random(seed)

    def drawn() -> Iterator[Cell]:
        while True:
            size = generator.choice(case.batch_sizes)
            yield size, case.learning_rate(size, generator.uniform(case.octaves[0], case.octaves[-1]))

    return _search(drawn(), run, example_cost, budget, lambda cost: None)


def tpe_search(case: TargetCase, run: RunCell, example_cost: ExampleCost, budget: float, seed: int) -> Found:
    """Return the best setting seen by Optuna's TPE as it comes, in the same box and with the same budget.

    It is told ln(cost), and for a run that missed the target twice what the dearest run of a full budget costs.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    missed = 2 * case.examples * max(map(example_cost, case.batch_sizes))
    asked: list[optuna.Trial] = []

    def suggested() -> Iterator[Cell]:
        while True:
            asked.append(study.ask())
            size = case.batch_sizes[asked[-1].suggest_int("size", 0, len(case.batch_sizes) - 1)]
            octave = asked[-1].suggest_float("octave", case.octaves[0], case.octaves[-1])
            yield size, case.learning_rate(size, octave)

    def tell(cost: float) -> None:
        study.tell(asked[-1], math.log(min(cost, missed)))

    return _search(suggested(), run, example_cost, budget, tell)


def _search(
    cells: Iterator[Cell], run: RunCell, example_cost: ExampleCost, budget: float, tell: Callable[[float], None]
) -> Found:
    best, least, spent, count = None, math.inf, 0.0, 0
    while spent < budget:
        cell = next(cells)
        found = run(cell)
        cost = found.point * example_cost(cell[0])
        tell(cost)
        spent, count = spent + found.spent, count + 1
        if cost < least:
            best, least = cell, cost
    return Found(best, spent, count)


def largest_that_fits(case: TargetCase) -> int:
    """Return what Lightning's, Accelerate's and the HF Trainer's finders come to on this machine: all of the data.

    A machine's memory holds the whole data sets and a step on them; the finders end at the length of the data.
    """
    return case.n_train


def fastest_per_example(step_seconds: Mapping[int, float], n_train: int) -> int:
    """Return the size Ludwig's tuner settles on: doubled from 2 until examples per second fall, to a fifth of the data.

    >>> fastest_per_example({1: 1.0, 2: 1.0, 4: 1.5, 8: 3.5, 16: 3.6}, 100)
    4
    """
    size = LUDWIG_FIRST
    while 2 * size <= LUDWIG_SHARE * n_train and 2 * size in step_seconds:
        if 2 * size / step_seconds[2 * size] < size / step_seconds[size]:
            break
        size *= 2
    return size
