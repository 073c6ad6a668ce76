"""From example indices to batches on the device: out of tensors in memory, or through a `DataLoader`."""

import operator
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from batchlab.measure.random_states import kept_randomness
from batchlab.train.seeding import derive_seed, seed_everything
from batchlab.workload import Workload
from batchlab.workloads.arrays import Arrays, map_arrays, named_tensors
from batchlab.workloads.datasets import Collate, examples_in, is_arrays, read_items

Read = Callable[[Tensor], Any]

ARRAYS_AT_ONCE = 2048
ITEMS_AT_ONCE = 256
SHARE_OF_FREE_MEMORY = 0.5


@dataclass
class Waiting:
    """The seconds a trial has spent waiting for its loader."""

    seconds: float = 0.0


def open_reader(
    workload: Workload, train: Any, chunks: Iterable[Tensor], seed: int, device: str, waiting: Waiting | None = None
) -> Read:
    """Return the function that gives a trial its training batches.

    Args:
        workload: says how a dataset is read.
        train: the training data.
        chunks: the indices that will be asked for, in this order, one tensor a forward pass.
        seed: of random items.
        device: where batches are wanted.
        waiting: where the seconds spent on a loader are added up.
    """
    if is_arrays(train):
        return _selecting(train, device)
    requests = ((position, chunk.tolist()) for position, chunk in enumerate(chunks))
    # The loader lives as long as the function that is returned: its processes end with the trial.
    iterator, clock = iter(_loader(workload, train, requests, seed, device)), waiting or Waiting()

    def read(indices: Tensor) -> Any:
        started = time.perf_counter()
        batch = next(iterator)
        clock.seconds += time.perf_counter() - started
        return to_device(batch, device)

    return read


def evaluation_batches(
    workload: Workload, split: Any, size: int, device: str = "cpu"
) -> Callable[[], Iterator[tuple[Any, int]]]:
    """Return a function that goes through a split from first to last, as (batch, number of examples), each time anew.

    A dataset with random items gives the same ones each time.
    """
    n_examples = examples_in(split)
    spans = [(start, min(n_examples, start + size)) for start in range(0, n_examples, size)]
    if is_arrays(split):

        def slices() -> Iterator[tuple[Any, int]]:
            for start, end in spans:
                yield to_device(map_arrays(operator.itemgetter(slice(start, end)), split), device), end - start

        return slices
    requests = [(start, list(range(start, end))) for start, end in spans]
    loader = _loader(workload, split, requests, seed=0, device=device, persistent=True)
    return lambda: ((to_device(batch, device), end - start) for (start, end), batch in zip(spans, loader, strict=True))


def evaluation_size(workload: Workload, split: Any) -> int:
    """Return how many examples an evaluation takes at once where memory allows."""
    simple = is_arrays(split) and workload.step is None
    return workload.evaluation_batch_size or (ARRAYS_AT_ONCE if simple else ITEMS_AT_ONCE)


def read_batch(workload: Workload, split: Any, indices: list[int], device: str = "cpu") -> Any:
    """Return the examples at `indices` as one batch; random items are those of a fixed seed."""
    if is_arrays(split):
        return _selecting(split, device)(torch.tensor(indices))
    return to_device(_Batches(split, workload.collate or default_collate, seed=0)[0, indices], device)


def on_device(split: Any, device: str) -> Any:
    """Return tensors on the device where they fit into half of its free memory; anything else as it is."""
    if split is None or device == "cpu" or not is_arrays(split):
        return split
    if device.startswith("cuda"):
        wanted = sum(tensor.numel() * tensor.element_size() for _, tensor in named_tensors(split))
        if wanted > SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0]:
            return split
    return map_arrays(lambda tensor: tensor.to(device), split)


def to_device(batch: Any, device: str) -> Any:
    """Return a batch of any shape with its tensors on the device."""
    if isinstance(batch, Tensor):
        return batch if batch.device.type == device else batch.to(device, non_blocking=True)
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: to_device(item, device) for key, item in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(item, device) for item in batch))
    if isinstance(batch, (list, tuple)):
        return tuple(to_device(item, device) for item in batch)
    return batch


def _selecting(split: Arrays, device: str) -> Read:
    """Return the function that picks examples out of tensors."""
    if isinstance(split, tuple) and len(split) == 2 and all(isinstance(part, Tensor) for part in split):
        inputs, targets = split
        assert isinstance(inputs, Tensor) and isinstance(targets, Tensor)
        if device == "cpu":
            return lambda indices: (inputs.index_select(0, indices), targets.index_select(0, indices))
    where = next(named_tensors(split))[1].device

    def read(indices: Tensor) -> Any:
        chosen = indices.to(where, non_blocking=True)
        return to_device(map_arrays(lambda tensor: tensor.index_select(0, chosen), split), device)

    return read


class _Batches(Dataset[Any]):
    """A dataset whose items are whole batches, each read under a seed of its own: whoever reads it, it is the same."""

    def __init__(self, dataset: Any, collate: Collate, seed: int) -> None:
        self.dataset, self.collate, self.seed = dataset, collate, seed

    def __getitem__(self, request: tuple[int, list[int]]) -> Any:
        position, indices = request
        with kept_randomness():
            seed_everything(derive_seed(self.seed, "batch", position), devices=False)
            return self.collate(read_items(self.dataset, indices))


def _loader(
    workload: Workload, dataset: Any, requests: Any, seed: int, device: str, persistent: bool = False
) -> DataLoader[Any]:
    """Return the `DataLoader` that reads these batches, with the workload's number of processes."""
    n = workload.num_workers
    return DataLoader(
        _Batches(dataset, workload.collate or default_collate, seed),
        sampler=requests,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=n,
        # Loaded files, notebook cells and open data sets reach a forked process as they are.
        multiprocessing_context="fork" if n else None,
        # A generator of its own: else every pass over the data takes a number from the trial's.
        generator=torch.Generator().manual_seed(seed),
        persistent_workers=persistent and n > 0,
        pin_memory=device.startswith("cuda"),
    )


def _as_it_is(batch: Any) -> Any:
    return batch
