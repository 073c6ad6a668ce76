"""Seconds of a step by the clock: warmed up, in blocks, interleaved, and watched for drift."""

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
import torch

from batchlab.records import QUIET_SPREAD

Steps = Callable[[int], object]
Clock = Callable[[], float]

STEPS_COMPARED = 10
SETTLED_CHANGE = 0.02
FEWEST_WARM_UP_STEPS = 3
LONGEST_WARM_UP_BLOCKS = 2.5
BLOCK_S = 0.2
BLOCKS = 5
ROUNDS_COMPARED = 2
LARGEST_DRIFT = 0.03
LONGEST_BLOCK, FIRST_SHARE = 2.0, 10
MOST_REPEATS = 2


@dataclass(frozen=True, slots=True)
class BlockTimes:
    """Seconds of one step in each block, by stepper, in the order they were taken.

    `drift` is the share by which the last rounds were slower than the first, as of a device that grows hot; it is
    believed, and times are not `steady`, where it is more than 3 % and more than the blocks scatter. `spread` is the
    largest ratio of a stepper's upper quartile to its lower one: that of a busy machine is above 1.3.
    """

    seconds: tuple[tuple[float, ...], ...]
    drift: float
    steady: bool
    spread: float

    @property
    def calm(self) -> bool:
        """Return whether the times mean something: neither drift nor somebody else on the machine."""
        return self.steady and self.spread <= QUIET_SPREAD


def time_blocks(
    steppers: Sequence[Steps],
    *,
    clock: Clock = time.perf_counter,
    n_blocks: int = BLOCKS,
    block_s: float = BLOCK_S,
    seed: int = 0,
) -> BlockTimes:
    """Return how long a step of each stepper takes, with nothing else running.

    A stepper is warmed up until the median of 10 steps changes by less than 2 %, for half a second at most. Then all of
    them are timed in rounds, each in an order of its own, so that a slow spell of the machine meets all of them. Where
    the last two rounds differ from the first two by more than 3 %, and by more than blocks scatter, or the quartiles of
    a stepper by more than a factor of 1.3, all rounds are made once more, twice at most; the calmest of them count.

    Args:
        steppers: each makes n steps, and returns when the device has finished them.
        clock: gives seconds.
        n_blocks: how many rounds; 5 or more for quartiles that mean something.
        block_s: a block has as many steps as take this long in the warm-up.
        seed: of the orders.
    """
    counts = [_count(block_s, _warmed_up(step, clock, LONGEST_WARM_UP_BLOCKS * block_s)) for step in steppers]
    shuffle = random.Random(seed).sample
    tried: list[BlockTimes] = []
    while len(tried) <= MOST_REPEATS and not (tried and tried[-1].calm):
        tried.append(_rounds(steppers, counts, clock, n_blocks, block_s, shuffle))
    return min(tried, key=lambda times: times.spread)


def wait_for_device() -> None:
    """Return when a GPU that is in use has finished: its work is asynchronous, and the clock is the host's."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


def _warmed_up(step: Steps, clock: Clock, longest_s: float) -> float:
    """Make steps until they take a steady time, and return it: compilation, caches and clocks settle first."""
    started, times = clock(), list[float]()
    before = math.inf
    while len(times) < FEWEST_WARM_UP_STEPS or clock() - started < longest_s:
        times.append(_timed(step, 1, clock))
        if len(times) % STEPS_COMPARED == 0:
            now = statistics.median(times[-STEPS_COMPARED:])
            if abs(now / before - 1) < SETTLED_CHANGE:
                break
            before = now
    return statistics.median(times[-STEPS_COMPARED:])


def _count(block_s: float, step_s: float) -> int:
    return max(1, math.ceil(block_s / step_s))


def _rounds(
    steppers: Sequence[Steps],
    counts: Sequence[int],
    clock: Clock,
    n_blocks: int,
    block_s: float,
    shuffle: Callable[[Sequence[int], int], list[int]],
) -> BlockTimes:
    """Time all steppers in rounds, a block of each in every one."""
    times: list[list[float]] = [[] for _ in steppers]
    for _ in range(n_blocks):
        for index in shuffle(range(len(steppers)), len(steppers)):
            times[index].append(_block(steppers[index], counts[index], clock, LONGEST_BLOCK * block_s))
    relative = numpy.array(times) / numpy.median(times, axis=1, keepdims=True)
    drift = float(numpy.median(relative[:, -ROUNDS_COMPARED:]) / numpy.median(relative[:, :ROUNDS_COMPARED])) - 1
    scatter = float(numpy.subtract(*numpy.quantile(relative, [0.75, 0.25])))
    low, high = numpy.quantile(relative, [0.25, 0.75], axis=1)
    steady = abs(drift) <= max(LARGEST_DRIFT, scatter)
    return BlockTimes(tuple(map(tuple, times)), drift, steady, float((high / low).max()))


def _block(step: Steps, count: int, clock: Clock, longest_s: float) -> float:
    """Return the seconds of a step in a block, which ends early where its first tenth says that it would take long.

    On a busy machine steps can take a hundred times as long as they did in the warm-up.
    """
    first = max(1, count // FIRST_SHARE)
    taken = _timed(step, first, clock)
    if first == count or taken * count > longest_s * first:
        return taken / first
    return (taken + _timed(step, count - first, clock)) / count


def _timed(step: Steps, count: int, clock: Clock) -> float:
    started = clock()
    step(count)
    # A clock too coarse to see a step still moved.
    return max(clock() - started, 1e-9)
