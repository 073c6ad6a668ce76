"""Read IDX files, the format of MNIST: a magic number, the dimensions, then the numbers, all big-endian."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchlab.errors import DataCorrupt
from batchlab.workloads.compressed import read_bytes

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> NDArray[Any]:
    """Return the array in an IDX file, in native byte order; a name that ends in .gz is decompressed.

    The format: two zero bytes, a byte for the type, a byte for the number of dimensions, each dimension as an
    unsigned 32-bit integer, then the numbers in row-major order.

    Raises:
        DataCorrupt: it is not such a file, is cut short, or goes on after its end.
    """
    content = read_bytes(path)
    dtype, shape, header = _read_header(content, path)
    n_expected, n_found = math.prod(shape) * dtype.itemsize, len(content) - header
    if n_found < n_expected:
        raise DataCorrupt(
            f"{path} should hold {n_expected} bytes after its header for shape {shape}, but holds {n_found}: "
            "it is truncated; replace it by a complete copy."
        )
    if n_found > n_expected:
        raise DataCorrupt(
            f"{path} should end after {n_expected} bytes of data for shape {shape}, but {n_found - n_expected} bytes "
            "follow; replace it by an unchanged copy."
        )
    return np.frombuffer(content, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="))


def read_labeled_images(
    images_path: Path, labels_path: Path, *, size: tuple[int, int], n_classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images of shape (n, height, width) in 0..255 and labels of shape (n,) in 0..n_classes-1.

    Raises:
        DataCorrupt: a file is broken, holds something else, or the two do not belong together.
    """
    images, labels = read_idx(images_path), read_idx(labels_path)
    wanted = f"images of {size[0]} x {size[1]} unsigned bytes"
    _require(images.dtype == np.uint8 and images.shape[1:] == size and images.ndim == 3, images_path, wanted, images)
    _require(labels.dtype == np.uint8 and labels.ndim == 1, labels_path, "a list of unsigned bytes", labels)
    if len(images) != len(labels):
        raise DataCorrupt(
            f"{images_path} and {labels_path} should have one label an image, but hold {len(images)} images and "
            f"{len(labels)} labels; take both files from one copy."
        )
    if len(images) == 0:
        raise DataCorrupt(f"{images_path} should hold images, but holds none; replace it by a complete copy.")
    if labels.max() >= n_classes:
        first = int((labels >= n_classes).argmax())
        raise DataCorrupt(
            f"{labels_path} should hold labels from 0 to {n_classes - 1}, but label {first} is {labels[first]}; "
            "replace it by an unchanged copy."
        )
    return images, labels


def _read_header(content: bytes, path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return dtype, shape and length in bytes of the header."""
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or magic[3] == 0:
        begins = f"begins with {magic.hex(' ')}" if magic else "is empty"
        raise DataCorrupt(
            f"{path} should begin with an IDX magic number such as 00 00 08 03, but {begins}; "
            "replace it by an IDX file, or add .gz to its name if it is compressed."
        )
    header = 4 + 4 * magic[3]
    if len(content) < header:
        raise DataCorrupt(
            f"{path} should have a header of {header} bytes, but ends after {len(content)}: it is truncated; "
            "replace it by a complete copy."
        )
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4))
    return np.dtype(DTYPES[magic[2]]), shape, header


def _require(holds: bool, path: Path, wanted: str, array: NDArray[Any]) -> None:
    if not holds:
        raise DataCorrupt(
            f"{path} should hold {wanted}, but holds {array.dtype} of shape {array.shape}; "
            "put the file that belongs under this name."
        )
