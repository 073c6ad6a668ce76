import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from batchlab.workloads.digits import draw_digits
from batchlab.workloads.loading import load_workload
from cases import reproducible


def test_a_split_holds_every_digit_once():
    splits = draw_digits(0)
    pixels = np.concatenate([pair[0].reshape(-1, 64) for pair in (splits.train, splits.valid, splits.test)])
    drawn = sorted(map(tuple, np.round(pixels * 6.017 + 4.884).astype(int).tolist()))
    assert drawn == sorted(map(tuple, load_digits().data.astype(int).tolist()))


def test_a_split_is_60_20_20_in_every_class():
    splits = draw_digits(3)
    assert [len(pair[1]) for pair in (splits.train, splits.valid, splits.test)] == [1079, 359, 359]
    total = np.bincount(load_digits().target)
    for pair, share in ((splits.train, 0.6), (splits.valid, 0.2), (splits.test, 0.2)):
        assert np.abs(np.bincount(pair[1]) - share * total).max() <= 2


def test_every_seed_has_its_own_split():
    assert np.array_equal(draw_digits(7).test[0], draw_digits(7).test[0])
    assert not np.array_equal(draw_digits(7).test[0], draw_digits(8).test[0])


def test_pixels_have_mean_0_and_variance_1():
    inputs = draw_digits(0).train[0]
    assert abs(inputs.mean()) < 0.02
    assert abs(inputs.std() - 1) < 0.02


def test_a_seed_of_63_bits_is_taken():
    draw_digits(2**63 - 1)


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn"])
def test_four_epochs_at_the_default_settings_learn_the_digits(name):
    workload = load_workload(name)
    inputs, targets = workload.splits(0).train
    with reproducible(seed=0):
        model = workload.make_model()
        optimizer = torch.optim.SGD(model.parameters(), **workload.optimizer_settings)
        for _ in range(4):
            for batch in torch.randperm(len(inputs)).split(workload.default_batch_size):
                optimizer.zero_grad()
                workload.loss(model(inputs[batch]), targets[batch]).backward()
                optimizer.step()
    inputs, targets = workload.splits(0).valid
    assert float(workload.metric.function(model(inputs), targets)) < 0.15
