"""Read the binary version of CIFAR-10: records of one byte for the label and 3072 for the pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchlab.errors import DataCorrupt
from batchlab.workloads.compressed import read_bytes

CHANNELS, SIDE, N_CLASSES = 3, 32, 10
RECORD_BYTES = 1 + CHANNELS * SIDE * SIDE

Labeled = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def read_cifar_files(paths: Sequence[Path]) -> Labeled:
    """Return the images of all files, shape (n, 3, 32, 32) in 0..255, and their labels, shape (n,) in 0..9."""
    images, labels = zip(*map(read_cifar, paths), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def read_cifar(path: Path) -> Labeled:
    """Return the images of one file and their labels; any whole number of records will do, so parts can be tried.

    Raises:
        DataCorrupt: it is cut short, or holds something else.
    """
    content = np.frombuffer(read_bytes(path), np.uint8)
    n_records, n_left = divmod(len(content), RECORD_BYTES)
    if n_left or not n_records:
        raise DataCorrupt(
            f"{path} should hold records of {RECORD_BYTES} bytes, 10000 of them in a complete file, but its "
            f"{len(content)} bytes make {n_records} and {n_left} bytes more; replace it by an unchanged copy."
        )
    records = content.reshape(n_records, RECORD_BYTES)
    images, labels = records[:, 1:].reshape(n_records, CHANNELS, SIDE, SIDE), records[:, 0]
    if labels.max() >= N_CLASSES:
        first = int((labels >= N_CLASSES).argmax())
        raise DataCorrupt(
            f"{path} should hold labels from 0 to {N_CLASSES - 1}, but that of record {first} is {labels[first]}; "
            "replace it by an unchanged copy of the binary version of CIFAR-10 (that of CIFAR-100 is another format)."
        )
    return images, labels
