"""The quiet pass: how long an optimizer step takes alone on the machine, by batch size."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

from batchlab.measure.block_timing import BLOCK_S, Steps, time_blocks, wait_for_device
from batchlab.measure.random_states import kept_randomness
from batchlab.measure.speed import Speed, speed_of
from batchlab.records import StepTime, TrialSettings
from batchlab.train.order import batches, epochs, micro_batches
from batchlab.train.reading import Read, on_device, open_reader
from batchlab.train.seeding import derive_seed
from batchlab.train.step import make_stepper, train_step
from batchlab.workload import Workload
from batchlab.workloads.datasets import is_arrays

ENDLESS = 1 << 62
# To choose a number of threads takes less than to time a step: few blocks, and short ones.
BLOCKS_TRIED, TRIED_SHARE = 3, 0.25
CLEARLY = 0.02


def time_steps(
    workload: Workload, settings: Sequence[TrialSettings], *, threads: int | Sequence[int], block_s: float = BLOCK_S
) -> tuple[StepTime, ...]:
    """Return the step time of each of `settings`, with nothing else running: the seconds that answers speak of.

    A step is what the reference loop does between evaluations: read a batch, forward, backward, update; it is timed by
    the rules of `time_blocks`.

    Args:
        workload: what is trained.
        settings: one trial's settings a batch size, alike in seed and device.
        threads: torch's threads while timing, or numbers to choose from at each batch size: the first one unless
            another is clearly faster. Torch's own number is restored at the end.
        block_s: seconds of a block of steps, at least.
    """
    return workload_speed(workload, settings, threads=threads, block_s=block_s)[1]


def workload_speed(
    workload: Workload,
    settings: Sequence[TrialSettings],
    *,
    threads: int | Sequence[int],
    at_hand: bool = False,
    block_s: float = BLOCK_S,
) -> tuple[Speed, tuple[StepTime, ...]]:
    """Return how fast the steps of `settings` are, with all there is to know of them, and what `time_steps` returns.

    Args:
        workload: what is trained.
        settings: one trial's settings a batch size, alike in seed and device.
        threads: torch's threads while timing, or numbers to choose from at each batch size: the first one unless
            another is clearly faster. Torch's own number is restored at the end.
        at_hand: steps of a dataset are timed with a batch at hand as well, to tell waiting for data from computing.
        block_s: seconds of a block of steps, at least.
    """
    before = torch.get_num_threads()
    splits = workload.splits(derive_seed(settings[0].base_seed, "data", settings[0].seed))
    train = on_device(splits.train, settings[0].device)
    try:
        steppers = [make_steps(workload, train, one) for one in settings]
        counts = (threads,) if isinstance(threads, int) else threads
        used = _fastest(steppers, counts, TRIED_SHARE * block_s)
        if at_hand and not is_arrays(train):
            steppers += [make_steps(workload, train, one, _read_once) for one in settings]
        served = [served_by(count, step) for count, step in zip(itertools.cycle(used), steppers, strict=False)]
        speed = speed_of([one.batch_size for one in settings], time_blocks(served, block_s=block_s))
    finally:
        torch.set_num_threads(before)
    times = (
        StepTime(row.batch_size, row.median_s, row.low_s, row.high_s, len(row.blocks_s), count, one.device, max(counts))
        for row, count, one in zip(speed.rows, used, settings, strict=True)
    )
    return speed, tuple(times)


def _fastest(steppers: Sequence[Steps], counts: Sequence[int], block_s: float) -> list[int]:
    """Return which of these numbers of threads serves each stepper best; the first unless another is clearly faster."""
    if len(counts) == 1:
        return [counts[0]] * len(steppers)
    pairs = [served_by(count, step) for step in steppers for count in counts]
    times = time_blocks(pairs, n_blocks=BLOCKS_TRIED, block_s=block_s)
    medians = numpy.median(times.seconds, axis=1).reshape(len(steppers), len(counts))
    medians[:, 0] *= 1 - CLEARLY
    return [counts[index] for index in medians.argmin(axis=1)]


def served_by(threads: int, step: Steps) -> Steps:
    """Return the stepper, run by so many threads."""

    def steps(count: int) -> None:
        torch.set_num_threads(threads)
        step(count)

    return steps


def make_steps(
    workload: Workload, train: Any, settings: TrialSettings, through: Callable[[Read], Read] = lambda read: read
) -> Steps:
    """Return a function that makes n steps and waits for the device; each has its own model and optimizer."""
    with kept_randomness():
        model = workload.make_model().to(settings.device).train()
    stepper = make_stepper(workload, model, settings)
    size = settings.micro_batch_size or settings.batch_size

    def chunks() -> Iterator[Sequence[Tensor]]:
        orders = epochs(workload, train, seed=0)
        return micro_batches(batches(orders, settings.batch_size, ENDLESS, settings.last_batch), size)

    # One loader for all blocks: starting it is no part of a step.
    flat = (chunk for parts in chunks() for chunk in parts)
    read = through(open_reader(workload, train, flat, 0, settings.device))
    stream = chunks()

    def step(count: int) -> None:
        for parts in itertools.islice(stream, count):
            train_step(stepper, parts, read)
        wait_for_device()

    return step


def _read_once(read: Read) -> Read:
    """Return a function that reads one batch of each length, and gives it again and again."""
    kept: dict[int, Any] = {}

    def again(indices: Tensor) -> Any:
        if len(indices) not in kept:
            kept[len(indices)] = read(indices)
        return kept[len(indices)]

    return again
