"""The quiet pass: how long an optimizer step takes alone on the machine, by batch size."""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

from batchlab.measure.random_states import kept_randomness
from batchlab.records import StepTime, TrialSettings
from batchlab.train.order import batches, epochs, micro_batches
from batchlab.train.reading import on_device, open_reader
from batchlab.train.seeding import derive_seed
from batchlab.train.step import make_stepper, train_step
from batchlab.workload import Workload

WARM_UP_STEPS = 10
BLOCK_S = 0.1
BLOCKS = 7
ENDLESS = 1 << 62


def time_steps(workload: Workload, settings: Sequence[TrialSettings], *, threads: int) -> tuple[StepTime, ...]:
    """Return the step time of each of `settings`, with nothing else running: the seconds that answers speak of.

    A step is what the reference loop does between evaluations: read a batch, forward, backward, update. Blocks of at
    least 0.1 s are timed in an order shuffled over the batch sizes, so that a slow spell of the machine meets all of
    them; the record has the median and the quartiles over blocks, the first of which only warms up.

    Args:
        workload: what is trained.
        settings: one trial's settings a batch size, alike in seed and device.
        threads: torch's threads while timing; restored at the end.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    splits = workload.splits(derive_seed(settings[0].base_seed, "data", settings[0].seed))
    train = on_device(splits.train, settings[0].device)
    try:
        steppers = [_stepper(workload, train, one) for one in settings]
        counts = [_steps_a_block(step) for step in steppers]
        times: list[list[float]] = [[] for _ in steppers]
        order = [index for index in range(len(steppers)) for _ in range(BLOCKS)]
        random.Random(0).shuffle(order)
        for index in order:
            times[index].append(_timed(steppers[index], counts[index]) / counts[index])
        used = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    return tuple(_summary(one, block, used) for one, block in zip(settings, times, strict=True))


def _stepper(workload: Workload, train: Any, settings: TrialSettings) -> Callable[[int], None]:
    """Return a function that makes n steps and waits for the device; each has its own model and optimizer."""
    with kept_randomness():
        model = workload.make_model().to(settings.device).train()
    stepper = make_stepper(workload, model, settings)
    size = settings.micro_batch_size or settings.batch_size

    def chunks() -> Iterator[Sequence[Tensor]]:
        orders = epochs(workload, train, seed=0)
        return micro_batches(batches(orders, settings.batch_size, ENDLESS, settings.last_batch), size)

    # One loader for all blocks: starting it is no part of a step.
    read = open_reader(workload, train, (chunk for parts in chunks() for chunk in parts), 0, settings.device)
    stream = chunks()

    def step(count: int) -> None:
        for parts in itertools.islice(stream, count):
            train_step(stepper, parts, read)
        if settings.device.startswith("cuda"):
            torch.cuda.synchronize()

    return step


def _steps_a_block(step: Callable[[int], None]) -> int:
    step(WARM_UP_STEPS)
    return max(3, round(BLOCK_S / (_timed(step, WARM_UP_STEPS) / WARM_UP_STEPS)))


def _timed(step: Callable[[int], None], count: int) -> float:
    started = time.perf_counter()
    step(count)
    return time.perf_counter() - started


def _summary(settings: TrialSettings, block_times: list[float], threads: int) -> StepTime:
    low, median, high = numpy.quantile(block_times, [0.25, 0.5, 0.75])
    return StepTime(
        settings.batch_size, float(median), float(low), float(high), len(block_times), threads, settings.device
    )
