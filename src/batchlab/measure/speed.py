"""How fast a step is by batch size, and how much of it is waiting for data."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from batchlab.measure.block_timing import (
    BLOCK_S,
    BLOCKS,
    BlockTimes,
    Clock,
    Steps,
    time_blocks,
    wait_for_device,
)
from batchlab.measure.kept_states import kept_states
from batchlab.numerics.step_time import StepTimeModel, fit_step_time
from batchlab.records import QUIET_SPREAD


@dataclass(frozen=True, slots=True)
class StepSpeed:
    """Seconds of a step at one batch size: median and quartiles over blocks, and the blocks themselves.

    `compute_s` is the median with a batch at hand, without reading one; None where that was not timed.
    """

    batch_size: int
    median_s: float
    low_s: float
    high_s: float
    blocks_s: tuple[float, ...]
    compute_s: float | None = None

    @property
    def examples_per_s(self) -> float:
        """Return the throughput."""
        return self.batch_size / self.median_s

    @property
    def input_share(self) -> float | None:
        """Return the share of a step that goes by waiting for data, which no batch size cures; None if unknown."""
        return None if self.compute_s is None else max(0.0, 1 - self.compute_s / self.median_s)


@dataclass(frozen=True, slots=True)
class Speed:
    """Step times by batch size.

    The flag `drift` says that steps grew slower or faster meanwhile, each time they were timed; `busy` that something
    else used the machine.
    """

    rows: tuple[StepSpeed, ...]
    flags: tuple[str, ...] = ()

    @property
    def model(self) -> StepTimeModel:
        """Return the fitted max(t0, a + b B); needs two batch sizes."""
        return fit_step_time([row.batch_size for row in self.rows], [row.median_s for row in self.rows])


def measure_speed(
    run_step: Callable[[Any], object],
    batch_sizes: Sequence[int],
    read: Callable[[int], Any] | None = None,
    *,
    keep: Sequence[Any] = (),
    clock: Clock = time.perf_counter,
    n_blocks: int = BLOCKS,
    block_s: float = BLOCK_S,
) -> Speed:
    """Return how long a full optimizer step takes at each batch size, by the rules of `time_blocks`.

    Args:
        run_step: makes one full step; on a batch that `read` gave, else on a batch size, as for `find_max_batch_size`.
        batch_sizes: to time.
        read: gives a batch of a size out of the real input pipeline, as in `lambda size: next(batches[size])`. Steps
            are then timed with it, and with one batch used again and again: the difference is waiting for data.
        keep: models, optimizers, loaders, as in `kept_states`, that are left as they were found.
        clock: gives seconds.
        n_blocks: blocks of steps a batch size.
        block_s: seconds of a block, at least.

    >>> now = [0.0]
    >>> def run_step(batch_size): now[0] += max(0.010, 0.004 + 0.00005 * batch_size)
    >>> speed = measure_speed(run_step, [30, 60, 120, 240, 480], clock=lambda: now[0])
    >>> round(speed.rows[3].examples_per_s), round(speed.model.knee, 3)
    (15000, 120.0)
    """
    if not batch_sizes or min(batch_sizes) < 1 or len(set(batch_sizes)) < len(batch_sizes):
        raise ValueError(
            f"`batch_sizes` are different whole numbers of at least 1, got {list(batch_sizes)}; name each size once."
        )
    get = read or _itself
    with kept_states(keep):
        steppers = [_stepper(lambda size=size: run_step(get(size))) for size in batch_sizes]  # type: ignore[misc]
        if read is not None:
            at_hand = [read(size) for size in batch_sizes]
            steppers += [_stepper(lambda batch=batch: run_step(batch)) for batch in at_hand]  # type: ignore[misc]
        times = time_blocks(steppers, clock=clock, n_blocks=n_blocks, block_s=block_s)
    return speed_of(batch_sizes, times)


def speed_of(batch_sizes: Sequence[int], times: BlockTimes) -> Speed:
    """Return block times as rows; the second half of them, where there is one, is of batches at hand."""
    n = len(batch_sizes)
    compute: Sequence[float | None] = [statistics.median(one) for one in times.seconds[n:]] or [None] * n
    return Speed(
        tuple(_row(*row) for row in zip(batch_sizes, times.seconds[:n], compute, strict=True)),
        (*(() if times.steady else ("drift",)), *(() if times.spread <= QUIET_SPREAD else ("busy",))),
    )


def _row(batch_size: int, blocks: tuple[float, ...], compute: float | None) -> StepSpeed:
    low, median, high = map(float, numpy.quantile(blocks, [0.25, 0.5, 0.75]))
    return StepSpeed(batch_size, median, low, high, blocks, compute)


def _stepper(step: Callable[[], object]) -> Steps:
    def steps(count: int) -> None:
        for _ in range(count):
            step()
        wait_for_device()

    return steps


def _itself(batch_size: int) -> int:
    return batch_size
