import os

import numpy as np
import pytest
import torch

from batchlab.errors import DataMissing
from batchlab.train.inspection import inspect_workload
from batchlab.workload import check_splits
from batchlab.workloads.cifar10 import Normalize, make_network
from batchlab.workloads.loading import load_workload
from cases import reproducible

NAMES = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]


@pytest.fixture(autouse=True)
def empty_surroundings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def elsewhere(monkeypatch):
    monkeypatch.delenv("BATCHLAB_DATA", raising=False)


def write_cifar(folder, n_records=20):
    """Write the six files with images that say by their brightness which class they are."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(n_records, dtype=np.uint8) % 10
    records = np.concatenate([labels[:, None], np.broadcast_to(25 * labels[:, None], (n_records, 3072))], axis=1)
    for name in NAMES:
        (folder / name).write_bytes(records.tobytes())


def test_one_training_image_in_ten_validates(tmp_path):
    write_cifar(tmp_path)
    workload = load_workload("cifar10-cnn", data_dir=tmp_path)
    splits = workload.splits(0)
    assert [len(pair[1]) for pair in (splits.train, splits.valid, splits.test)] == [90, 10, 20]
    assert splits.valid[1].bincount().tolist() == [1] * 10
    check_splits(workload, splits)


def test_images_keep_their_labels_and_stay_bytes(tmp_path):
    write_cifar(tmp_path)
    splits = load_workload("cifar10-cnn", data_dir=tmp_path).splits(0)
    for images, labels in (splits.train, splits.valid, splits.test):
        assert images.dtype == torch.uint8
        assert torch.equal(images, (25 * labels).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 32, 32))


@pytest.mark.parametrize("folder", ["data/cifar10", "data/cifar-10-batches-bin"])
def test_the_usual_folders_are_found(tmp_path, elsewhere, folder):
    write_cifar(tmp_path / folder)
    assert load_workload("cifar10-cnn").name == "cifar10-cnn"


def test_missing_files_are_one_error_with_every_place_and_the_way_to_get_them(tmp_path):
    write_cifar(tmp_path / "d")
    (tmp_path / "d" / "data_batch_3.bin").unlink()
    with pytest.raises(DataMissing) as caught:
        load_workload("cifar10-cnn", data_dir=tmp_path / "d")
    assert str(caught.value) == (
        f"CIFAR-10 needs the files {', '.join(NAMES[:-1])} and test_batch.bin (plain or .gz) in one folder, but they "
        f"are not in any of {tmp_path}/d/cifar10, {tmp_path}/d/cifar-10-batches-bin, {tmp_path}/d (lacks "
        "data_batch_3.bin); they are those of the binary version, cifar-10-binary.tar.gz (cifar-10-batches-py is "
        "another format); put them into one folder and name it with --data DIR, or set BATCHLAB_DATA to the folder "
        "above cifar10/."
    )


def test_the_network_has_about_three_hundred_thousand_parameters_and_no_batch_norm(tmp_path):
    write_cifar(tmp_path)
    info = inspect_workload(load_workload("cifar10-cnn", data_dir=tmp_path), "cifar10-cnn")
    assert 250_000 < info.n_parameters < 350_000
    assert info.batch_norm is None


def test_an_image_is_seen_alike_in_any_batch():
    with reproducible(seed=0), torch.no_grad():
        model = make_network()
        images = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
        torch.testing.assert_close(model(images)[:1], model(images[:1]))


def test_pixels_are_normalized_by_channel():
    images = torch.randint(0, 256, (5, 2, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels = images.numpy() / 255
    expected = (pixels - np.array([0.4, 0.6]).reshape(2, 1, 1)) / np.array([0.2, 0.3]).reshape(2, 1, 1)
    found = Normalize((0.4, 0.6), (0.2, 0.3))(images)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif("BATCHLAB_DATA" not in os.environ, reason="BATCHLAB_DATA is not set: no real image files")
def test_the_real_files_have_their_known_sizes_and_scale():
    try:
        workload = load_workload("cifar10-cnn")
    except DataMissing as missing:
        pytest.skip(str(missing))
    splits = workload.splits(0)
    assert [len(pair[1]) for pair in (splits.train, splits.valid, splits.test)] == [45_000, 5_000, 10_000]
    pixels = make_network()[0](splits.train[0][:10_000])
    assert (pixels.mean(dim=(0, 2, 3)).abs() < 0.02).all()
    assert ((pixels.std(dim=(0, 2, 3)) - 1).abs() < 0.02).all()
