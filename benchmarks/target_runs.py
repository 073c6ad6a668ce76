"""Runs to a target in worker processes of one thread: each is the project's own trial, evaluated densely."""

import dataclasses
import functools
import itertools
import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from batchlab.numerics.crossings import first_crossing
from batchlab.records import Stop, TrialResult, TrialSettings
from batchlab.studies.pilot import pilot_settings
from batchlab.train.trial import run_trial
from batchlab.workload import Workload
from batchlab.workloads.loading import load_workload
from target_cases import CASES, TargetCase
from target_table import TargetRun

Result = TypeVar("Result")

EVALUATION_RATIO = 1.25
FIRST_EVALUATION = 2**-10


@dataclass(frozen=True, slots=True)
class Request:
    """One run: its setting, and the two numbers its weights, data and order follow from."""

    batch_size: int
    learning_rate: float
    base_seed: int
    seed: int


def evaluation_positions(examples: int) -> tuple[int, ...]:
    """Return the numbers of examples at which runs are evaluated, a quarter apart from a thousandth of the budget on.

    >>> evaluation_positions(10_000)[:4]
    (10, 13, 16, 20)
    """
    count = math.ceil(math.log(1 / FIRST_EVALUATION) / math.log(EVALUATION_RATIO))
    return tuple(sorted({math.ceil(examples * EVALUATION_RATIO**-back) for back in range(count)}))


def settings_of(case: TargetCase, workload: Workload, request: Request) -> TrialSettings:
    """Return the trial of a request: the workload's own optimizer and a constant rate, up to target or full budget."""
    settings = pilot_settings(
        workload,
        batch_size=request.batch_size,
        n_steps=max(1, round(case.examples / request.batch_size)),
        learning_rate=request.learning_rate,
        seed=request.base_seed,
        device="cpu",
    )
    stop = Stop(case.target, higher_is_better=workload.metric.higher_is_better, held=1)
    return dataclasses.replace(settings, seed=request.seed, evaluate_at=evaluation_positions(case.examples), stop=stop)


def target_run(result: TrialResult, target: float, *, higher_is_better: bool = False) -> TargetRun:
    """Return when a trial first reached the target; no smoothing, as all are evaluated at the same examples."""
    curve = result.curve
    crossing = first_crossing(curve.examples, curve.valid_metric, target, higher_is_better=higher_is_better)
    if crossing.point is not None:
        return TargetRun("reached", int(crossing.low), int(crossing.high), crossing.point)
    return TargetRun("diverged" if result.status == "diverged" else "not_reached", result.examples)


class Runner:
    """Worker processes that have loaded one workload, as a context manager."""

    def __init__(self, case: TargetCase, workers: int = 1) -> None:
        """Start the workers; they load the workload when they are first asked."""
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,))
        self._name = case.workload

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[..., Result], *arguments: Iterable[Any]) -> Iterator[Result]:
        """Yield what a function returns in the workers, in the order of its arguments."""
        return self._pool.map(function, *arguments)

    def runs(self, requests: Iterable[Request]) -> Iterator[TargetRun]:
        """Yield the runs in the order in which they are asked for."""
        return self.map(run_request, itertools.repeat(self._name), requests)


@functools.cache
def _loaded(name: str) -> Workload:
    return load_workload(name)


def run_request(name: str, request: Request) -> TargetRun:
    """Return one run of a case, in the process that asks; the workload is loaded once."""
    case, workload = CASES[name], _loaded(name)
    result = run_trial(workload, settings_of(case, workload, request))
    return target_run(result, case.target, higher_is_better=workload.metric.higher_is_better)
