"""Which examples make up each batch."""

from collections.abc import Iterator

import torch
from torch import Tensor


def batches(n_train: int, batch_size: int, n_steps: int, last_batch: str, seed: int) -> Iterator[Tensor]:
    """Yield `n_steps` tensors of example indices, every epoch a new permutation of `range(n_train)`.

    `last_batch` says what becomes of the examples left at the end of an epoch that do not fill a batch. carry: they
    open the next epoch's first batch, so that every batch has `batch_size` examples and every example is used equally
    often. drop: they are left out of this epoch. keep: they make one short batch, in which each of them weighs more.

    The permutations depend on the seed alone: at every batch size the examples come in the same order.
    """
    if last_batch == "drop" and n_train < batch_size:
        raise ValueError(
            f"An epoch must hold a whole batch, but this trial's {n_train} training examples are fewer than its batch "
            f"size {batch_size}; keep short batches, or carry them over."
        )
    generator = torch.Generator().manual_seed(seed)
    left = torch.empty(0, dtype=torch.int64)
    n_made = 0
    while n_made < n_steps:
        epoch = torch.randperm(n_train, generator=generator)
        if last_batch == "carry":
            epoch = torch.cat([left, epoch])
        n_full = len(epoch) // batch_size
        chunks = list(epoch[: n_full * batch_size].view(n_full, batch_size))
        left = epoch[n_full * batch_size :]
        if last_batch == "keep" and len(left):
            chunks.append(left)
        yield from chunks[: n_steps - n_made]
        n_made += len(chunks)
