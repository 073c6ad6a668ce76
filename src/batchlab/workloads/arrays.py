"""Data held in memory: trees of tensors, such as (inputs, targets), whose first dimension counts the examples."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from batchlab.errors import WorkloadError

Arrays = Tensor | tuple["Arrays", ...] | dict[str, "Arrays"]

SPLIT_WORDS = {"train": "training", "valid": "validation", "test": "test"}


def as_tensor(values: Any) -> Tensor:
    """Return `values` as a tensor: a tensor as it is, an array in the dtype that torch expects.

    NumPy makes float64 unless told otherwise and torch's modules are float32, so floating arrays become float32;
    integers and booleans become int64, as class labels and token ids have to be. A tensor keeps its dtype.

    >>> as_tensor(np.zeros(2)).dtype, as_tensor(np.array([True])).dtype
    (torch.float32, torch.int64)

    Raises:
        TypeError: `values` is neither, or holds something that is not a number.
    """
    if isinstance(values, Tensor):
        return values.detach()
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        raise TypeError
    dtype = np.float32 if values.dtype.kind == "f" else np.int64
    # Torch wants contiguous memory it may write to; `require` copies only where it has to.
    return torch.from_numpy(np.require(values, dtype, ["C", "W"]))


def as_arrays(values: Any) -> Arrays:
    """Return a tuple or dictionary of tensors and arrays, nested at will, with tensors only.

    Raises:
        TypeError: something in it is neither.
    """
    if isinstance(values, dict):
        return {str(key): as_arrays(item) for key, item in values.items()}
    if isinstance(values, tuple):
        return tuple(as_arrays(item) for item in values)
    return as_tensor(values)


def map_arrays(function: Callable[[Tensor], Tensor], arrays: Arrays) -> Any:
    """Return the tree with `function` of each of its tensors."""
    if isinstance(arrays, Tensor):
        return function(arrays)
    if isinstance(arrays, dict):
        return {key: map_arrays(function, item) for key, item in arrays.items()}
    return tuple(map_arrays(function, item) for item in arrays)


def named_tensors(arrays: Arrays, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a tree with their names; those of a pair are inputs and targets.

    >>> [name for name, _ in named_tensors(({"ids": torch.zeros(1), "mask": torch.zeros(1)}, torch.zeros(1)))]
    ['inputs ids', 'inputs mask', 'targets']
    """
    if isinstance(arrays, Tensor):
        yield name or "inputs", arrays
        return
    if isinstance(arrays, dict):
        items = list(arrays.items())
    else:
        words = ("inputs", "targets") if len(arrays) == 2 and not name else map(str, range(len(arrays)))
        items = list(zip(words, arrays, strict=True))
    for key, item in items:
        yield from named_tensors(item, f"{name} {key}".strip())


def length_of(arrays: Arrays) -> int:
    """Return how many examples there are."""
    return len(next(named_tensors(arrays))[1])


def check_arrays(arrays: Arrays, name: str, split: str) -> None:
    """Raise a WorkloadError unless the split has examples, as many in every tensor, and finite numbers only."""
    word = SPLIT_WORDS[split]
    tensors = list(named_tensors(arrays))
    for part, values in tensors:
        if values.ndim == 0:
            raise WorkloadError(
                f"Workload {name!r}: {word} {part} must have one entry an example, but are a single number; "
                "make the first dimension count the examples."
            )
    first, count = tensors[0][0], len(tensors[0][1])
    for part, values in tensors[1:]:
        if len(values) != count:
            raise WorkloadError(
                f"Workload {name!r}: {word} {first} and {part} must have the same length, but there are {count} "
                f"{first} and {len(values)} {part}; give each example one of both."
            )
    check_not_empty(count, name, split)
    for part, values in tensors:
        _check_finite(values, f"Workload {name!r}: {word} {part}")


def check_not_empty(count: int, name: str, split: str) -> None:
    """Raise a WorkloadError where a split has no examples."""
    if count == 0:
        way_out = "or pass `test=None`" if split == "test" else "or take some from another split"
        raise WorkloadError(
            f"Workload {name!r}: the {SPLIT_WORDS[split]} set must hold at least one example, but is empty; add "
            f"examples, {way_out}."
        )


def _check_finite(values: Tensor, what: str) -> None:
    if not values.is_floating_point():
        return
    bad = ~torch.isfinite(values).reshape(len(values), -1).all(dim=1)
    n_bad = int(bad.sum())
    if n_bad:
        first = int(bad.nonzero()[0])
        raise WorkloadError(
            f"{what} must be finite, but {n_bad} of {len(values)} examples hold NaN or infinity, the first at index "
            f"{first}; repair or remove them."
        )
