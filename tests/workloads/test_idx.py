import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from batchlab.errors import DataCorrupt
from batchlab.workloads.idx import read_idx, read_labeled_images
from cases import idx_bytes

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def message_of(path: Path) -> str:
    with pytest.raises(DataCorrupt) as caught:
        read_idx(path)
    return str(caught.value)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@settings(deadline=None)
@given(
    kind=st.sampled_from(sorted(CODES)),
    shape=arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4),
    compressed=st.booleans(),
    data=st.data(),
)
def test_what_was_written_is_read(kind, shape, compressed, data, tmp_path_factory):
    array = data.draw(arrays.arrays(kind, shape))
    content = bytes([0, 0, CODES[kind], array.ndim]) + struct.pack(f">{array.ndim}I", *shape)
    content += array.astype(f">{kind}").tobytes()
    path = tmp_path_factory.getbasetemp() / ("round-trip.gz" if compressed else "round-trip")
    found = read_idx(write(path, gzip.compress(content) if compressed else content))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_a_file_cut_short_is_truncated(tmp_path):
    path = write(tmp_path / "images", idx_bytes(np.zeros((3, 2, 2)))[:-5])
    assert message_of(path) == (
        f"{path} should hold 12 bytes after its header for shape (3, 2, 2), but holds 7: it is truncated; "
        "replace it by a complete copy."
    )


def test_a_file_that_goes_on_is_refused(tmp_path):
    path = write(tmp_path / "images", idx_bytes(np.zeros((3, 2, 2))) + b"more")
    assert message_of(path) == (
        f"{path} should end after 12 bytes of data for shape (3, 2, 2), but 4 bytes follow; "
        "replace it by an unchanged copy."
    )


def test_a_header_cut_short_is_truncated(tmp_path):
    path = write(tmp_path / "images", b"\0\0\x08\x03\0\0")
    assert message_of(path) == (
        f"{path} should have a header of 16 bytes, but ends after 6: it is truncated; replace it by a complete copy."
    )


@pytest.mark.parametrize(
    ("content", "begins"),
    [(b"\x89PNG\r\n", "begins with 89 50 4e 47"), (b"\0\0\x07\x01", "begins with 00 00 07 01"), (b"", "is empty")],
)
def test_a_wrong_magic_number_is_shown(tmp_path, content, begins):
    path = write(tmp_path / "images", content)
    assert message_of(path) == (
        f"{path} should begin with an IDX magic number such as 00 00 08 03, but {begins}; "
        "replace it by an IDX file, or add .gz to its name if it is compressed."
    )


def test_a_file_that_is_not_gzip_is_named(tmp_path):
    path = write(tmp_path / "images.gz", idx_bytes(np.zeros(3)))
    assert message_of(path) == (
        f"{path} should be a gzip file, as its name ends in .gz, but it is not or is damaged "
        "(Not a gzipped file (b'\\x00\\x00')); replace it, or drop .gz from its name if it is not compressed."
    )


def test_a_gzip_file_cut_short_is_truncated(tmp_path):
    path = write(tmp_path / "images.gz", gzip.compress(idx_bytes(np.arange(100)))[:-9])
    assert message_of(path) == (
        f"{path} should be a complete gzip file, but ends early: it is truncated; replace it by a complete copy."
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    assert message_of(tmp_path) == f"{tmp_path} should be readable, but is not: Is a directory; mend its permissions."


def read_pair(folder: Path, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    paths = write(folder / "images", idx_bytes(images)), write(folder / "labels", idx_bytes(labels))
    return read_labeled_images(*paths, size=(2, 2), n_classes=10)


def test_images_and_labels_are_read_together(tmp_path):
    images, labels = read_pair(tmp_path, np.arange(12).reshape(3, 2, 2), np.array([9, 0, 4]))
    assert images[2].tolist() == [[8, 9], [10, 11]]
    assert labels.tolist() == [9, 0, 4]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            np.zeros((3, 2, 2)),
            np.zeros(2),
            "{folder}/images and {folder}/labels should have one label an image, but hold 3 images and 2 labels; "
            "take both files from one copy.",
        ),
        (
            np.zeros((3, 2, 2)),
            np.array([0, 10, 11]),
            "{folder}/labels should hold labels from 0 to 9, but label 1 is 10; replace it by an unchanged copy.",
        ),
        (
            np.zeros(3),
            np.zeros(3),
            "{folder}/images should hold images of 2 x 2 unsigned bytes, but holds uint8 of shape (3,); "
            "put the file that belongs under this name.",
        ),
        (
            np.zeros((3, 2, 2)),
            np.zeros((3, 2, 2)),
            "{folder}/labels should hold a list of unsigned bytes, but holds uint8 of shape (3, 2, 2); "
            "put the file that belongs under this name.",
        ),
        (
            np.zeros((0, 2, 2)),
            np.zeros(0),
            "{folder}/images should hold images, but holds none; replace it by a complete copy.",
        ),
    ],
)
def test_files_that_do_not_fit_together_are_named(tmp_path, images, labels, message):
    with pytest.raises(DataCorrupt) as caught:
        read_pair(tmp_path, images, labels)
    assert str(caught.value) == message.format(folder=tmp_path)
