"""Which examples make up each batch."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from batchlab.errors import WorkloadError
from batchlab.workload import Workload
from batchlab.workloads.datasets import examples_in


def epochs(workload: Workload, train: Any, seed: int) -> Iterator[Tensor]:
    """Yield the example indices of one epoch after another: permutations, or what the workload's sampler gives.

    They depend on the seed alone: at every batch size the examples come in the same order.
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield _sampled(workload, train, generator) if workload.sampler else _shuffled(train, generator)


def epoch_length(workload: Workload, train: Any) -> int:
    """Return how many examples an epoch has: all of them, or as many as the workload's sampler gives."""
    return len(next(epochs(workload, train, seed=0))) if workload.sampler else examples_in(train)


def batches(orders: Iterator[Tensor], batch_size: int, n_steps: int, last_batch: str) -> Iterator[Tensor]:
    """Yield `n_steps` tensors of example indices, made of one epoch's order after another.

    `last_batch` says what becomes of the examples left at the end of an epoch that do not fill a batch. carry: they
    open the next epoch's first batch, so that every batch has `batch_size` examples and every example is used equally
    often. drop: they are left out of this epoch. keep: they make one short batch, in which each of them weighs more.
    """
    left = torch.empty(0, dtype=torch.int64)
    n_made = 0
    while n_made < n_steps:
        epoch = next(orders)
        if last_batch == "drop" and len(epoch) < batch_size:
            raise ValueError(
                f"An epoch must hold a whole batch, but this trial's {len(epoch)} training examples are fewer than its "
                f"batch size {batch_size}; keep short batches, or carry them over."
            )
        if last_batch == "carry":
            epoch = torch.cat([left, epoch])
        n_full = len(epoch) // batch_size
        chunks = list(epoch[: n_full * batch_size].view(n_full, batch_size))
        left = epoch[n_full * batch_size :]
        if last_batch == "keep" and len(left):
            chunks.append(left)
        yield from chunks[: n_steps - n_made]
        n_made += len(chunks)


def micro_batches(stream: Iterator[Tensor], size: int) -> Iterator[Sequence[Tensor]]:
    """Yield the indices of each batch in parts of at most `size`, as they go through the model."""
    for indices in stream:
        yield (indices,) if len(indices) <= size else torch.split(indices, size)


def _shuffled(train: Any, generator: Generator) -> Tensor:
    return torch.randperm(examples_in(train), generator=generator)


def _sampled(workload: Workload, train: Any, generator: Generator) -> Tensor:
    assert workload.sampler is not None
    indices = torch.as_tensor([int(index) for index in workload.sampler(train, generator)], dtype=torch.int64)
    if not len(indices):
        raise WorkloadError(
            f"Workload {workload.name!r}: the sampler must give the indices of an epoch, but gave none; make a new one "
            "at each call, as in `lambda train, generator: WeightedRandomSampler(weights, n, generator=generator)`."
        )
    return indices
