import gzip

import numpy as np
import pytest

from batchlab.errors import DataCorrupt
from batchlab.workloads.cifar_files import read_cifar, read_cifar_files


def record(label, value):
    return bytes([label]) + bytes([value]) * 3072


def corrupt(path, content) -> str:
    path.write_bytes(content)
    with pytest.raises(DataCorrupt) as caught:
        read_cifar(path)
    return str(caught.value)


def test_a_record_is_a_label_and_three_planes(tmp_path):
    pixels = np.arange(3072) % 251
    (tmp_path / "a.bin").write_bytes(bytes([7]) + pixels.astype(np.uint8).tobytes() + record(9, 200))
    images, labels = read_cifar(tmp_path / "a.bin")
    assert labels.tolist() == [7, 9]
    # Red, green and blue follow each other, each row by row.
    assert images[0, 2, 5, 3] == (2 * 1024 + 5 * 32 + 3) % 251
    assert (images[1] == 200).all()


def test_files_are_read_one_after_another(tmp_path):
    (tmp_path / "a.bin").write_bytes(record(1, 10) + record(2, 20))
    (tmp_path / "b.bin.gz").write_bytes(gzip.compress(record(3, 30)))
    images, labels = read_cifar_files([tmp_path / "a.bin", tmp_path / "b.bin.gz"])
    assert labels.tolist() == [1, 2, 3]
    assert images[:, 0, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(("n_bytes", "n_records", "n_left"), [(0, 0, 0), (3073 * 2 - 1, 1, 3072), (3074, 1, 1)])
def test_a_file_of_another_size_is_told(tmp_path, n_bytes, n_records, n_left):
    path = tmp_path / "a.bin"
    assert corrupt(path, bytes(n_bytes)) == (
        f"{path} should hold records of 3073 bytes, 10000 of them in a complete file, but its {n_bytes} bytes make "
        f"{n_records} and {n_left} bytes more; replace it by an unchanged copy."
    )


def test_a_label_that_there_is_not_is_told(tmp_path):
    path = tmp_path / "a.bin"
    assert corrupt(path, record(9, 0) + record(10, 0)) == (
        f"{path} should hold labels from 0 to 9, but that of record 1 is 10; replace it by an unchanged copy of the "
        "binary version of CIFAR-10 (that of CIFAR-100 is another format)."
    )
