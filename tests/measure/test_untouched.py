import random

import numpy as np
import pytest
import torch
from torch import nn

from batchlab.measure.untouched import untouched


def model():
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))


def disturb(subject):
    subject.train()
    subject(torch.randn(8, 2)).sum().backward()
    subject[1].running_mean = torch.ones(2)
    np.random.standard_normal()
    random.random()


def test_mode_buffers_and_gradients_come_back_as_the_same_objects():
    subject = model().eval()
    subject[2].train()
    gradient = subject[0].weight.grad = torch.ones(2, 2)
    buffers = dict(subject.named_buffers())
    values = {name: buffer.clone() for name, buffer in buffers.items()}
    with untouched(subject):
        assert subject[0].weight.grad is None
        disturb(subject)
    assert subject[0].weight.grad is gradient and subject[0].bias.grad is None
    assert [module.training for module in subject] == [False, False, True]
    for name, buffer in subject.named_buffers():
        assert buffer is buffers[name] and torch.equal(buffer, values[name])


def test_random_states_go_on_as_if_nothing_had_been():
    def draws():
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()

    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    expected = draws()
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    subject = model()
    torch.manual_seed(3)
    with untouched(subject, seed=5):
        disturb(subject)
    assert draws() == expected


def test_all_is_restored_after_an_error_too():
    subject = model().eval()
    before = subject[1].running_mean.clone()
    with pytest.raises(KeyError), untouched(subject):
        disturb(subject)
        raise KeyError
    assert torch.equal(subject[1].running_mean, before) and not subject.training


def test_a_seed_repeats_dropout():
    subject = nn.Dropout(0.5)
    with untouched(subject, seed=1):
        first = subject(torch.ones(20))
    with untouched(subject, seed=1):
        assert torch.equal(first, subject(torch.ones(20)))
