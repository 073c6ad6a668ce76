import re

import pytest
import torch
from torch import nn

from batchlab.adapt.gradient_taps import GradientTaps
from batchlab.errors import UsageError


def taps_of(model):
    taps = GradientTaps(list(model.parameters()))
    taps.open()
    return taps


def test_each_backward_pass_is_noted_before_it_is_added_up():
    model = nn.Linear(2, 1, bias=False)
    taps = taps_of(model)
    for factor in (1.0, 3.0):
        model(factor * torch.ones(1, 2)).backward()
        assert taps.take().tolist() == pytest.approx([2 * factor**2])


def test_a_shared_parameter_is_noted_once_with_its_whole_gradient():
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    taps = taps_of(model)
    model(model(torch.ones(1, 1))).backward()
    assert taps.take().tolist() == [4]


def test_a_parameter_without_a_gradient_counts_as_zero():
    model = nn.ModuleList([nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)])
    taps = taps_of(model)
    model[0](torch.ones(1, 1)).backward()
    assert taps.take().tolist() == [1, 0]


def test_two_backward_passes_at_once_are_refused():
    model = nn.Linear(1, 1, bias=False)
    taps = taps_of(model)
    for _ in range(2):
        model(torch.ones(1, 1)).backward()
    expected = (
        "`monitor.micro_batch` is called after every backward pass, but there were two or more since the last call; "
        "add the losses of one micro-batch up before `backward()`."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        taps.take()


def test_no_backward_pass_is_refused():
    expected = (
        "`monitor.micro_batch` is called after the backward pass of a micro-batch, but no gradient came since the last "
        "call; move it behind `backward()`."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        taps_of(nn.Linear(1, 1)).take()


def test_closed_taps_leave_no_hook():
    model = nn.Linear(1, 1)
    taps = taps_of(model)
    taps.close()
    assert not model.weight._backward_hooks
