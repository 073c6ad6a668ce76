"""Split examples so that each part has every class in the same proportion."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def take_stratified(
    labels: NDArray[Any], n_taken: int, generator: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of `n_taken` random examples, and of the rest, both ascending.

    Shuffled examples are laid out class after class and taken at even distances: each class gives its share up to one
    example, and each example of a class is as likely as any other.

    Args:
        labels: classes, shape (n,).
        n_taken: at least 1, at most n.
        generator: decides which examples are taken.

    >>> taken, rest = take_stratified(np.array([0, 0, 0, 0, 1, 1]), 3, np.random.default_rng(0))
    >>> int((taken < 4).sum()), len(rest)
    (2, 3)
    """
    # Sorting random keys rather than `permutation`: the stream of `random` is the one least likely to change.
    shuffled = np.argsort(generator.random(len(labels)), kind="stable")
    layout = shuffled[np.argsort(labels[shuffled], kind="stable")]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[layout[((np.arange(n_taken) + 0.5) * len(labels) / n_taken).astype(np.intp)]] = True
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)
