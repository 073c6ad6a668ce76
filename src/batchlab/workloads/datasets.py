"""Map-style datasets: what may be one, and one kept in memory once it has been read."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, default_collate

from batchlab.errors import WorkloadError
from batchlab.workloads.arrays import SPLIT_WORDS, Arrays, as_arrays, length_of

Collate = Callable[[list[Any]], Any]

CHECKED_FOR_RANDOMNESS = 32


def is_arrays(split: Any) -> bool:
    """Return whether a split is a tree of tensors; otherwise it is a dataset."""
    return isinstance(split, (Tensor, tuple, dict))


def examples_in(split: Any) -> int:
    """Return the number of examples of a split."""
    return length_of(split) if is_arrays(split) else len(split)


def as_split(data: Any, name: str, split: str, *, collate: Collate | None = None) -> Any:
    """Return the data of one split: a tree of tensors where they are tensors or arrays, else a map-style dataset.

    A TensorDataset, and a Subset of one, are tensors under another name and become a tree, unless items are to be put
    together by `collate`. A Hugging Face dataset that was given no format of its own yields tensors.

    Raises:
        WorkloadError: it is neither.
    """
    if isinstance(data, list) and len(data) == 2 and all(isinstance(part, (Tensor, np.ndarray)) for part in data):
        data = tuple(data)
    if collate is None and (tensors := _tensors_inside(data)) is not None:
        return tensors
    if isinstance(data, (tuple, dict, Tensor, np.ndarray)):
        try:
            return as_arrays(data)
        except TypeError:
            raise _not_data(name, split, _described(data)) from None
    problem = _why_no_dataset(data)
    if problem is not None:
        raise _not_data(name, split, problem)
    if collate is None and _is_hugging_face(data) and data.format["type"] is None:
        return data.with_format("torch")
    return data


def read_items(dataset: Any, indices: Sequence[int]) -> list[Any]:
    """Return the items at `indices`, in one call where the dataset offers that, as Hugging Face's do."""
    if hasattr(dataset, "__getitems__"):
        return list(dataset.__getitems__(list(indices)))
    return [dataset[index] for index in indices]


def cached(dataset: Any, name: str, split: str, collate: Collate | None) -> Any:
    """Return a dataset as it is in memory: one tree of tensors where its items stack, else the list of its items.

    Raises:
        WorkloadError: the same item differs between two reads, as with random transforms, which it would freeze.
    """
    count = len(dataset)
    for index in {position * (count - 1) // CHECKED_FOR_RANDOMNESS for position in range(CHECKED_FOR_RANDOMNESS + 1)}:
        if not _same(dataset[index], dataset[index]):
            raise WorkloadError(
                f"Workload {name!r}: `cache=True` keeps each {SPLIT_WORDS[split]} item as it is read once, but item "
                f"{index} differs between two reads, as with random transforms; leave `cache` out."
            )
    items = read_items(dataset, range(count))
    if collate is not None:
        return items
    try:
        return as_arrays(_tuples(default_collate(items)))
    except (TypeError, RuntimeError):
        return items


def _tensors_inside(data: Any) -> Arrays | None:
    """Return the tensors of a TensorDataset or of a Subset of one, None for anything else."""
    if type(data) is TensorDataset:
        return tuple(data.tensors) if len(data.tensors) > 1 else data.tensors[0]
    if type(data) is Subset and (inside := _tensors_inside(data.dataset)) is not None:
        chosen = torch.as_tensor(list(data.indices), dtype=torch.int64)
        return tuple(tensor[chosen] for tensor in inside) if isinstance(inside, tuple) else inside[chosen]  # type: ignore[index]
    return None


def _tuples(batch: Any) -> Any:
    """Return a collated batch with tuples for torch's lists."""
    if isinstance(batch, dict):
        return {key: _tuples(item) for key, item in batch.items()}
    return tuple(map(_tuples, batch)) if isinstance(batch, (list, tuple)) else batch


def _why_no_dataset(data: Any) -> str | None:
    if isinstance(data, DataLoader):
        return "a DataLoader, which has a batch size of its own; pass its `.dataset`, and its `collate_fn` as `collate`"
    if isinstance(data, IterableDataset) or (isinstance(data, Iterable) and not hasattr(data, "__getitem__")):
        return f"of type {type(data).__name__}, which cannot be read in random order; give it `__getitem__`"
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        return (
            f"of type {type(data).__name__}, which lacks `__len__` or `__getitem__`; collect the examples into tensors"
        )
    return None


def _not_data(name: str, split: str, problem: str) -> WorkloadError:
    what, semicolon, way_out = problem.partition("; ")
    return WorkloadError(
        f"Workload {name!r}: `{split}` must be (inputs, targets), a dictionary of tensors or arrays, or a map-style "
        f"dataset, but is {what}; {way_out if semicolon else 'collect the examples into tensors'}."
    )


def _described(data: Any) -> str:
    if isinstance(data, dict):
        whole = [key for key, value in data.items() if isinstance(value, Dataset) or _is_hugging_face(value)]
        if whole:
            return f"a dictionary of datasets; pass one of them, as in data[{whole[0]!r}]"
        return f"a dictionary of {' and '.join(sorted({type(value).__name__ for value in data.values()}))}"
    return " and ".join(
        f"{item.dtype} array" if isinstance(item, np.ndarray) else type(item).__name__
        for item in (data if isinstance(data, tuple) else (data,))
    )


def _is_hugging_face(data: Any) -> bool:
    return type(data).__module__.split(".")[0] == "datasets" and hasattr(data, "with_format")


def _same(first: Any, second: Any) -> bool:
    """Return whether two reads of an item are equal, to the last bit."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and torch.equal(torch.nan_to_num(first), torch.nan_to_num(second))
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(_same, first, second))
    if hasattr(first, "tobytes"):
        return bool(first.tobytes() == second.tobytes())
    return bool(first == second)
