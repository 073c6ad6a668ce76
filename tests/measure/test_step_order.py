import copy

import pytest
import torch
from torch import nn

import measure_cases
from batchlab.measure.step_order import measure_step_order


def by_hand(model, mean_loss, batches, rate):
    """Return a copy of the model after plain steps on each batch in turn."""
    moved = copy.deepcopy(model)
    for batch in batches:
        moved.zero_grad()
        mean_loss(moved, batch).backward()
        with torch.no_grad():
            for parameter in moved.parameters():
                parameter.sub_(rate * parameter.grad)
    return moved


def test_differences_are_those_of_steps_taken_by_hand():
    model, mean_loss, _ = measure_cases.case("mlp")
    model.double()
    a, b, held_out = ((x.double(), y) for x, y in (measure_cases.vectors(seed) for seed in range(3)))
    found = measure_step_order(model, mean_loss, [(a, b)], held_out, learning_rate=0.5)
    # Twice the mean loss over both halves is the sum of theirs, so one step at twice the rate is the joint one.
    both = tuple(torch.cat(parts) for parts in zip(a, b, strict=True))
    joint = by_hand(model, mean_loss, [both], 1.0)
    ends = [by_hand(model, mean_loss, order, 0.5) for order in ((a, b), (b, a))]
    for batch, values in ((both, found.same), (held_out, found.held_out)):
        expected = sum(mean_loss(end, batch) for end in ends) / 2 - mean_loss(joint, batch)
        assert values[0] == pytest.approx(expected.item(), rel=1e-6)


def test_the_difference_is_of_second_order():
    model, mean_loss, _ = measure_cases.case("mlp")
    model.double()
    a, b, held_out = ((x.double(), y) for x, y in (measure_cases.vectors(seed) for seed in range(3)))
    large, small = (
        measure_step_order(model, mean_loss, [(a, b)], held_out, learning_rate=rate).held_out[0]
        for rate in (1e-2, 1e-3)
    )
    assert large / small == pytest.approx(100, rel=0.2)


def test_the_model_is_left_as_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(7), nn.Linear(7, 5))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    batches = [measure_cases.vectors(seed) for seed in range(3)]
    measure_step_order(model, measure_cases.CLASSIFICATION, [tuple(batches[:2])], batches[2], learning_rate=0.1)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
