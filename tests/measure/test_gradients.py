import re

import pytest
import torch
from torch import nn

import measure_cases
from batchlab.measure.gradients import batch_gradient, loss_at, trained_parameters


def test_frozen_parameters_are_left_out_and_shared_ones_named_once():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    model[0].bias.requires_grad_(False)
    assert list(trained_parameters(model)) == ["0.weight", "1.bias"]


def test_a_model_all_frozen_is_refused():
    expected = (
        "A model must have parameters that require a gradient to be measured, and all are frozen; call "
        "`requires_grad_()` on those that are trained."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        trained_parameters(nn.Linear(1, 1).requires_grad_(False))


def test_a_parameter_that_plays_no_part_has_a_gradient_of_zeros():
    model = measure_cases.Shifted(torch.ones(2))
    model.unused = nn.Parameter(torch.ones(3))
    found = batch_gradient(model, measure_cases.mean_output, list(model.parameters()), torch.zeros(4, 2))
    assert [gradient.tolist() for gradient in found] == [[1, 1], [0, 0, 0]]


def test_the_loss_elsewhere_is_that_of_the_moved_model_and_moves_nothing():
    model = measure_cases.Shifted(torch.ones(2))
    there = loss_at(model, measure_cases.mean_output)({"w": torch.tensor([3.0, 0.0])}, torch.zeros(4, 2))
    assert there.item() == 4.5 and model.w.tolist() == [1, 1]
