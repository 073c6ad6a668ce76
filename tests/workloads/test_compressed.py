import gzip

import pytest

from batchlab.errors import DataCorrupt
from batchlab.workloads.compressed import read_bytes


@pytest.mark.parametrize(("name", "pack"), [("a.bin", bytes), ("a.bin.gz", gzip.compress)])
def test_a_file_is_decompressed_where_its_name_says_so(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(b"plain"))
    assert read_bytes(tmp_path / name) == b"plain"


def test_a_file_that_is_not_compressed_is_told(tmp_path):
    path = tmp_path / "a.bin.gz"
    path.write_bytes(b"plain")
    with pytest.raises(DataCorrupt) as caught:
        read_bytes(path)
    assert str(caught.value) == (
        f"{path} should be a gzip file, as its name ends in .gz, but it is not or is damaged (Not a gzipped file "
        "(b'pl')); replace it, or drop .gz from its name if it is not compressed."
    )
