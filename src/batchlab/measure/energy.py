"""Joules of a step by batch size, where the machine counts them."""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from batchlab.measure.block_timing import FEWEST_WARM_UP_STEPS, Clock, Steps, wait_for_device
from batchlab.measure.energy_counters import EnergyCounters, energy_counters
from batchlab.measure.kept_states import kept_states
from batchlab.numerics.step_time import StepTimeModel, fit_step_time

BLOCK_S = 1.0
BLOCKS = 3
REST_S = 0.5


@dataclass(frozen=True, slots=True)
class StepEnergy:
    """Joules of a step at one batch size: median and range over blocks of whole steps."""

    batch_size: int
    median_j: float
    low_j: float
    high_j: float
    n_blocks: int


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules of a step by batch size; `rows` is empty where nothing counts them, and `missing` says what was tried.

    Nothing is subtracted: what the machine takes at rest, `idle_w` watts, is in the joules. `counters` names the parts
    of the machine that were counted.
    """

    rows: tuple[StepEnergy, ...]
    counters: tuple[str, ...]
    missing: tuple[str, ...]
    idle_w: float | None

    @property
    def model(self) -> StepTimeModel:
        """Return e0 + e1 B fitted as step times are, with joules for seconds; needs two batch sizes."""
        return fit_step_time([row.batch_size for row in self.rows], [row.median_j for row in self.rows])


def measure_energy(
    run_step: Callable[[int], object],
    batch_sizes: Sequence[int],
    *,
    keep: Sequence[Any] = (),
    counters: EnergyCounters | None = None,
) -> Energy:
    """Return the joules that a full optimizer step takes at each batch size.

    Args:
        run_step: makes one full step at a batch size, as for `measure_speed`.
        batch_sizes: to measure.
        keep: models, optimizers, loaders, as in `kept_states`, that are left as they were found.
        counters: what is read; by default what `energy_counters` finds.

    >>> energy = measure_energy(print, [8, 16], counters=EnergyCounters((), ("RAPL: none here.",)))
    >>> energy.rows, energy.missing
    ((), ('RAPL: none here.',))
    """
    with kept_states(keep):
        if counters is None:
            # A step on a GPU puts it into use, so that its counter is looked for.
            run_step(batch_sizes[0])
            counters = energy_counters()
        return energy_of(batch_sizes, [_stepper(run_step, size) for size in batch_sizes], counters)


def energy_of(
    batch_sizes: Sequence[int],
    steppers: Sequence[Steps],
    counters: EnergyCounters,
    *,
    clock: Clock = time.perf_counter,
    rest: Callable[[float], object] = time.sleep,
    block_s: float = BLOCK_S,
) -> Energy:
    """Return the joules of a step of each stepper: counters are read around blocks of whole steps, in mixed order.

    Args:
        batch_sizes: one a stepper.
        steppers: each makes n steps, and returns when the device has finished them.
        counters: what is read.
        clock: gives seconds.
        rest: lets so many seconds go by with nothing to do.
        block_s: a block has as many steps as take this long; counters move about 1000 times a second.
    """
    names = tuple(one.name for one in counters.found)
    if not names:
        return Energy((), (), counters.missing, None)

    def joules() -> float:
        return sum(one.read() for one in counters.found)

    before, started = joules(), clock()
    rest(REST_S)
    idle_w = (joules() - before) / (clock() - started)
    counts = [max(1, math.ceil(block_s / _step_s(step, clock))) for step in steppers]
    found: list[list[float]] = [[] for _ in steppers]
    order = random.Random(0)
    for _ in range(BLOCKS):
        for index in order.sample(range(len(steppers)), len(steppers)):
            before = joules()
            steppers[index](counts[index])
            found[index].append((joules() - before) / counts[index])
    rows = (
        StepEnergy(size, float(numpy.median(one)), min(one), max(one), len(one))
        for size, one in zip(batch_sizes, found, strict=True)
    )
    return Energy(tuple(rows), names, counters.missing, idle_w)


def _step_s(step: Steps, clock: Clock) -> float:
    step(FEWEST_WARM_UP_STEPS)
    started = clock()
    step(FEWEST_WARM_UP_STEPS)
    return max(clock() - started, 1e-9) / FEWEST_WARM_UP_STEPS


def _stepper(run_step: Callable[[int], object], batch_size: int) -> Steps:
    def steps(count: int) -> None:
        for _ in range(count):
            run_step(batch_size)
        wait_for_device()

    return steps
