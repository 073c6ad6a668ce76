import random

import numpy
import pytest
import torch
from torch import nn

from batchlab.measure.kept_states import kept_states


def trained(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.randn(8, 3)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("steps_before", [0, 3])
def test_training_goes_on_as_if_nothing_had_been_measured(steps_before: int) -> None:
    ends = []
    for measured in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2), nn.Dropout(0.5))
        optimizer = torch.optim.Adam(model.parameters())
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        for _ in range(steps_before):
            trained(model, optimizer)
        if measured:
            with kept_states([model, optimizer, scheduler]):
                for _ in range(3):
                    trained(model, optimizer)
                    scheduler.step()
        trained(model, optimizer)
        scheduler.step()
        ends.append([value.clone() for value in model.state_dict().values()] + [torch.tensor(scheduler.get_last_lr())])
    assert all(map(torch.equal, *ends))


def test_gradients_and_modes_are_as_before() -> None:
    model = nn.Linear(3, 2).eval()
    model.weight.grad = gradient = torch.ones(2, 3)
    with kept_states([model]):
        model.train()
        model(torch.randn(8, 3)).sum().backward()
    assert model.weight.grad is gradient
    assert torch.equal(gradient, torch.ones(2, 3))
    assert (model.bias.grad, model.training) == (None, False)


def test_everything_random_goes_on_from_where_it_was_also_after_an_error() -> None:
    own = torch.Generator().manual_seed(3)

    def drawn() -> tuple[float, ...]:
        return float(torch.rand(1)), random.random(), numpy.random.random(), float(torch.rand(1, generator=own))

    before = torch.get_rng_state(), random.getstate(), numpy.random.get_state(), own.get_state()
    with pytest.raises(KeyError), kept_states([own]):
        first = drawn()
        raise KeyError
    assert drawn() == first
    torch.set_rng_state(before[0])
    random.setstate(before[1])
    numpy.random.set_state(before[2])
