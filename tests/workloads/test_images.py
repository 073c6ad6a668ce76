import os

import pytest
import torch

from batchlab.errors import DataCorrupt, DataMissing
from batchlab.workload import check_splits
from batchlab.workloads.loading import load_workload
from cases import write_image_set

NAMES = ["mnist-mlp", "mnist-cnn", "fashion-mlp", "fashion-cnn"]


@pytest.mark.parametrize("name", NAMES)
def test_one_training_image_in_six_validates(tmp_path, name):
    write_image_set(tmp_path)
    workload = load_workload(name, data_dir=tmp_path)
    splits = workload.splits(0)
    assert [len(pair[1]) for pair in (splits.train, splits.valid, splits.test)] == [50, 10, 20]
    assert splits.valid[1].bincount().tolist() == [1] * 10
    assert workload.make_model()(splits.valid[0]).shape == (10, 10)
    check_splits(workload, splits)


def test_the_validation_images_are_the_same_for_everyone(tmp_path):
    write_image_set(tmp_path)
    first, again = (load_workload("mnist-mlp", data_dir=tmp_path).splits(seed) for seed in (0, 1))
    assert torch.equal(first.valid[1], again.valid[1])


def test_images_keep_their_labels(tmp_path):
    write_image_set(tmp_path)
    for inputs, targets in pairs_of(load_workload("fashion-mlp", data_dir=tmp_path).splits(0)):
        brightness = (inputs.mean(dim=(1, 2, 3)) * 0.3530 + 0.2860) * 255
        torch.testing.assert_close(brightness, 25.0 * targets, atol=1e-3, rtol=0)


def pairs_of(splits):
    return splits.train, splits.valid, splits.test


def test_a_missing_data_set_is_told_when_the_workload_is_loaded(tmp_path):
    with pytest.raises(DataMissing):
        load_workload("mnist-mlp", data_dir=tmp_path)


def test_a_broken_file_is_told_when_the_workload_is_loaded(tmp_path):
    write_image_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(DataCorrupt):
        load_workload("mnist-mlp", data_dir=tmp_path)


@pytest.mark.skipif("BATCHLAB_DATA" not in os.environ, reason="BATCHLAB_DATA is not set: no real image files")
@pytest.mark.parametrize("name", NAMES)
def test_the_real_files_have_their_known_sizes_and_scale(name):
    try:
        splits = load_workload(name).splits(0)
    except DataMissing as missing:
        pytest.skip(str(missing))
    assert [len(pair[1]) for pair in pairs_of(splits)] == [50_000, 10_000, 10_000]
    assert abs(float(splits.train[0].mean())) < 0.01
    assert abs(float(splits.train[0].std()) - 1) < 0.01
