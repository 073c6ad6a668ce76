"""The data of a trial with its labels permuted: inputs and labels are the same, and tell nothing of each other."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from batchlab.train.seeding import derive_seed
from batchlab.workload import Splits
from batchlab.workloads.datasets import examples_in, is_arrays


def permuted(splits: Splits, seed: int) -> Splits:
    """Return the splits with the targets of each permuted among its examples, which are (inputs, targets) pairs."""
    parts = ((name, getattr(splits, name)) for name in ("train", "valid", "test"))
    return Splits(*(None if split is None else _permuted(split, derive_seed(seed, name)) for name, split in parts))


def _permuted(split: Any, seed: int) -> Any:
    order = torch.randperm(examples_in(split), generator=torch.Generator().manual_seed(seed))
    if not is_arrays(split):
        return _Permuted(split, order)
    inputs, targets = split
    return inputs, targets[order.to(targets.device)]


class _Permuted(Dataset[Any]):
    """A dataset of pairs, each with the target of another."""

    def __init__(self, dataset: Any, order: Tensor) -> None:
        self.dataset, self.order = dataset, order.tolist()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index][0], self.dataset[self.order[index]][1]
