import dataclasses
from pathlib import Path

import pytest

from batchlab.errors import DataMissing
from batchlab.workloads.image_files import FASHION_MNIST, FILE_NAMES, MNIST, find_files, places
from cases import write_image_set

NOWHERE = dataclasses.replace(FASHION_MNIST, more_places=())
WHAT = (
    "needs the files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
    "t10k-labels-idx1-ubyte (plain or .gz) in one folder, but they are not in any of"
)


@pytest.fixture(autouse=True)
def empty_surroundings(tmp_path, monkeypatch):
    monkeypatch.delenv("BATCHLAB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def message_of(*arguments) -> str:
    with pytest.raises(DataMissing) as caught:
        find_files(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("layout", ["", "mnist", "MNIST/raw"])
def test_a_data_folder_may_have_any_usual_layout(tmp_path, layout):
    write_image_set(tmp_path / "d" / layout)
    assert find_files(MNIST, tmp_path / "d") == {name: tmp_path / "d" / layout / name for name in FILE_NAMES}


def test_the_named_subfolder_comes_before_the_folder_itself(tmp_path):
    write_image_set(tmp_path)
    write_image_set(tmp_path / "fashion-mnist")
    assert find_files(FASHION_MNIST, tmp_path)[FILE_NAMES[0]].parent == tmp_path / "fashion-mnist"
    assert find_files(MNIST, tmp_path)[FILE_NAMES[0]].parent == tmp_path


def test_the_environment_comes_before_the_usual_folders(tmp_path, monkeypatch):
    write_image_set(tmp_path / "data" / "MNIST" / "raw")
    assert find_files(MNIST)[FILE_NAMES[0]].parent == tmp_path / "data" / "MNIST" / "raw"
    write_image_set(tmp_path / "mine" / "mnist")
    monkeypatch.setenv("BATCHLAB_DATA", str(tmp_path / "mine"))
    assert find_files(MNIST)[FILE_NAMES[0]].parent == tmp_path / "mine" / "mnist"


def test_a_data_folder_is_the_only_place_then(tmp_path):
    write_image_set(tmp_path / "data" / "MNIST" / "raw")
    with pytest.raises(DataMissing):
        find_files(MNIST, tmp_path / "empty")


def test_fashion_mnist_is_found_where_debian_puts_it():
    assert places(FASHION_MNIST)[-1] == Path("/usr/share/datasets/fashion-mnist")


def test_compressed_files_do(tmp_path):
    for name in FILE_NAMES:
        (tmp_path / f"{name}.gz").touch()
    assert find_files(MNIST, tmp_path)[FILE_NAMES[1]].name == "train-labels-idx1-ubyte.gz"


def test_missing_files_are_one_error_with_every_place_and_the_way_to_get_them(tmp_path):
    assert message_of(NOWHERE) == (
        f"Fashion-MNIST {WHAT} {tmp_path}/data/fashion-mnist, {tmp_path}/data/FashionMNIST/raw (BATCHLAB_DATA is not "
        "set); `apt install dataset-fashion-mnist` puts them in place on Debian and Ubuntu; elsewhere put them into "
        "one folder and name it with --data DIR, or set BATCHLAB_DATA to the folder above fashion-mnist/."
    )


def test_an_incomplete_folder_is_shown_with_what_it_lacks(tmp_path):
    write_image_set(tmp_path / "d")
    (tmp_path / "d" / "t10k-labels-idx1-ubyte").unlink()
    assert message_of(MNIST, tmp_path / "d") == (
        f"MNIST {WHAT} {tmp_path}/d/mnist, {tmp_path}/d/MNIST/raw, {tmp_path}/d (lacks t10k-labels-idx1-ubyte); "
        "put them into one folder and name it with --data DIR, or set BATCHLAB_DATA to the folder above mnist/."
    )
