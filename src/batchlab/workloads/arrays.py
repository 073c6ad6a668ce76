"""The data of a workload as tensors, and what they must satisfy."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from batchlab.errors import WorkloadError

Pair = tuple[Tensor, Tensor]

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


def as_pair(data: Any, name: str, split: str) -> Pair:
    """Return the (inputs, targets) of one split as tensors.

    Raises:
        WorkloadError: `data` is not a pair of tensors or arrays.
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        came = f"{len(data)} items" if isinstance(data, (tuple, list)) else type(data).__name__
        raise _not_a_pair(name, split, came)
    try:
        return as_tensor(data[0]), as_tensor(data[1])
    except TypeError:
        raise _not_a_pair(name, split, " and ".join(_describe(item) for item in data)) from None


def check_pair(pair: Pair, name: str, split: str) -> None:
    """Raise a WorkloadError unless the split has examples, a target for each, and finite numbers only."""
    word = SPLIT_WORDS[split]
    for part, values in zip(("inputs", "targets"), pair, strict=True):
        if values.ndim == 0:
            raise WorkloadError(
                f"Workload {name!r}: {word} {part} must have one entry an example, but are a single number; "
                "make the first dimension count the examples."
            )
    inputs, targets = pair
    if len(inputs) != len(targets):
        raise WorkloadError(
            f"Workload {name!r}: {word} inputs and targets must have the same length, but there are {len(inputs)} "
            f"inputs and {len(targets)} targets; give each example one target."
        )
    if len(inputs) == 0:
        way_out = "or pass `test=None`" if split == "test" else "or take some from another split"
        raise WorkloadError(
            f"Workload {name!r}: the {word} set must hold at least one example, but is empty; add examples, {way_out}."
        )
    _check_finite(inputs, f"Workload {name!r}: {word} inputs")
    _check_finite(targets, f"Workload {name!r}: {word} targets")


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


def _describe(values: Any) -> str:
    return f"{values.dtype} array" if isinstance(values, np.ndarray) else type(values).__name__


def _not_a_pair(name: str, split: str, came: str) -> WorkloadError:
    return WorkloadError(
        f"Workload {name!r}: `{split}` must be a pair (inputs, targets) of tensors or numeric arrays, but is {came}; "
        "collect the examples into two tensors first."
    )
