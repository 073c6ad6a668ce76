"""Batches of any shape: tensors, or tuples, lists and dictionaries of them, with examples in the first dimension."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from torch.utils import _pytree


def map_tensors(function: Callable[[Tensor], Any], batch: Any) -> Any:
    """Return the batch with every tensor replaced by `function` of it; what is no tensor stays."""
    return _pytree.tree_map(lambda leaf: function(leaf) if isinstance(leaf, Tensor) else leaf, batch)


def count_examples(batch: Any) -> int:
    """Return the length that all tensors of a batch have in common.

    >>> import torch
    >>> count_examples({"inputs": torch.zeros(3, 2), "targets": torch.zeros(3)})
    3
    """
    lengths = {leaf.shape[0] if leaf.ndim else 0 for leaf in _pytree.tree_leaves(batch) if isinstance(leaf, Tensor)}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            "A batch must hold tensors that have the examples in their first dimension, got tensors of "
            f"{sorted(lengths) or 'no'} examples; give the number of examples of each batch yourself."
        )
    return int(lengths.pop())


def in_chunks(batch: Any, size: int) -> Iterator[Any]:
    """Yield the batch in parts of `size` examples, the last one of what is left."""
    for start in range(0, count_examples(batch), size):
        yield map_tensors(lambda tensor, at=start: tensor[at : at + size], batch)  # type: ignore[misc]


def single_examples(batch: Any) -> Iterator[Any]:
    """Yield each example as a batch of one."""
    return in_chunks(batch, 1)
