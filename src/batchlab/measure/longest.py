"""The longest examples of data whose items differ in size: those that decide what fits."""

import random
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy
from torch import Tensor

MOST_READ = 10_000


def longest_first(dataset: Any, *, most: int = MOST_READ, seed: int = 0) -> list[int]:
    """Return the indices of a map-style dataset, those of the items with the most elements first.

    For `find_max_batch_size`: `run_step` takes its batch from the front, so that no batch of the training is larger. Of
    a dataset with more than `most` items a random sample is read, and its longest may not be the longest of all.

    Args:
        dataset: has a length, and items that are tensors, arrays, text, lists of numbers, or nested from these.
        most: items read at most.
        seed: of the sample.

    >>> longest_first([[1], [1, 2, 3], {"tokens": [1, 2], "label": 0}, [4, 5]])
    [1, 2, 3, 0]
    """
    n = len(dataset)
    indices = range(n) if n <= most else sorted(random.Random(seed).sample(range(n), most))
    return sorted(indices, key=lambda index: -_elements(dataset[index]))


def _elements(item: Any) -> int:
    """Return how many numbers or characters an item is made of."""
    if isinstance(item, Tensor):
        return item.numel()
    if isinstance(item, numpy.ndarray):
        return item.size
    if isinstance(item, (str, bytes)):
        return len(item)
    if isinstance(item, Mapping):
        return sum(map(_elements, item.values()))
    if isinstance(item, (list, tuple)):
        return sum(1 if isinstance(part, Number) else _elements(part) for part in item)
    return 1
