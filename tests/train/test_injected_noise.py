import dataclasses
import functools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from batchlab.errors import WorkloadError
from batchlab.train.injected_noise import InjectedNoise, noise_weights, takes_weights
from batchlab.train.trial import run_trial
from cases import mean_squared, tiny_classifier, tiny_regression
from train_settings import settings

LARGE, SMALL, DRAWS = 32, 4, 5_000


@functools.cache
def draws() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.stack([noise_weights(LARGE, SMALL, generator) for _ in range(DRAWS)]).double()


def test_weights_have_the_mean_1_in_every_batch() -> None:
    torch.testing.assert_close(draws().mean(dim=1), torch.ones(DRAWS).double(), rtol=0, atol=1e-6)


def test_a_weighted_mean_of_many_gradients_scatters_like_that_of_few() -> None:
    """A variance from 5,000 draws has a standard error of 2%; 4 of these are passed by chance once in 16,000."""
    generator = torch.Generator().manual_seed(4)
    gradients = torch.randn(DRAWS, LARGE, generator=generator).double()
    means = (draws() * gradients).mean(dim=1)
    assert float(means.var()) * SMALL == pytest.approx(1.0, abs=4 * math.sqrt(2 / DRAWS))
    assert float(means.mean()) == pytest.approx(0.0, abs=4 / math.sqrt(SMALL * DRAWS))


def test_noise_also_has_its_covariance_where_a_batch_is_drawn_without_replacement() -> None:
    """Of N examples: (1/b - 1/N) times their covariance, as a batch of b without replacement has."""
    generator = torch.Generator().manual_seed(5)
    n_train = 48
    gradients = torch.randn(n_train, generator=generator).double()
    orders = torch.stack([torch.randperm(n_train, generator=generator)[:LARGE] for _ in range(DRAWS)])
    means = (draws() * gradients[orders]).mean(dim=1)
    expected = (1 / SMALL - 1 / n_train) * float(gradients.var())
    assert float(means.var()) == pytest.approx(expected, rel=4 * math.sqrt(2 / DRAWS))


def test_the_hook_weights_the_gradient_of_each_example_and_no_loss() -> None:
    torch.manual_seed(0)
    model, inputs, targets = (
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
        torch.randn(8, 3),
        torch.ones(8, 2),
    )
    plain = mean_squared(model(inputs), targets)
    singly = [torch.autograd.grad(mean_squared(model(inputs[[i]]), targets[[i]]), model[0].weight)[0] for i in range(8)]
    InjectedNoise(model, 2, seed=7).draw(8)
    weights = noise_weights(8, 2, torch.Generator().manual_seed(7))
    loss = mean_squared(model(inputs), targets)
    gradient = torch.autograd.grad(loss, model[0].weight)[0]
    assert loss == plain
    oracle = sum(weight * one for weight, one in zip(weights, singly, strict=True)) / 8
    torch.testing.assert_close(gradient, oracle)


def test_a_split_batch_has_the_weights_of_the_whole_one() -> None:
    plain = settings(batch_size=16, n_steps=12, noise_batch_size=4)
    whole, split = (
        run_trial(tiny_classifier(), dataclasses.replace(plain, micro_batch_size=size)) for size in (None, 5)
    )
    assert split.curve.valid_loss == pytest.approx(whole.curve.valid_loss, rel=1e-5)


def test_the_training_loss_that_is_recorded_is_not_weighted() -> None:
    still = {"batch_size": 16, "n_steps": 12, "learning_rate": 1e-12}
    plain, noisy = (run_trial(tiny_classifier(), settings(**still, noise_batch_size=size)) for size in (None, 2))
    assert noisy.curve.train_loss[1:] == pytest.approx(plain.curve.train_loss[1:], rel=1e-6)


def test_noise_of_a_batch_as_large_as_this_one_changes_nothing() -> None:
    plain, same = (run_trial(tiny_classifier(), settings(noise_batch_size=size)) for size in (None, 8))
    assert same.curve.valid_loss == pytest.approx(plain.curve.valid_loss, rel=1e-6)


def test_noise_follows_from_the_seed() -> None:
    noisy = [run_trial(tiny_classifier(), settings(noise_batch_size=2, seed=seed)).valid_loss for seed in (0, 0, 1)]
    assert noisy[0] == noisy[1] != noisy[2]
    assert noisy[0] != run_trial(tiny_classifier(), settings()).valid_loss


class TwoOutputs(nn.Module):
    """Returns a pair."""

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the inputs twice."""
        return inputs, inputs


def test_a_model_without_an_output_an_example_is_refused() -> None:
    model = TwoOutputs()
    InjectedNoise(model, 2, seed=0).draw(8)
    with pytest.raises(WorkloadError) as raised:
        model(torch.ones(8, 3))
    assert str(raised.value) == (
        "Noise is injected into a model that returns one tensor with an entry an example, but this one returned a "
        "tuple of 2 where 8 examples were left of the batch; leave the control out."
    )


def contrast(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs - outputs.mean(dim=0)).square().mean()


@pytest.mark.parametrize(
    ("changes", "takes"),
    [
        ({}, True),
        ({"loss": contrast}, False),
        ({"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 9.0]))}, False),
        ({"step": lambda model, batch: (functional.cross_entropy(model(batch[0]), batch[1]) * 8, 8)}, False),
    ],
)
def test_examples_can_be_weighted_where_the_loss_is_the_mean_of_theirs(changes, takes: bool) -> None:
    workload = tiny_classifier(**changes)
    model = workload.make_model().eval()
    assert takes_weights(workload, model, workload.train, "cpu") == takes


def test_regression_takes_weights_too() -> None:
    workload = tiny_regression()
    assert takes_weights(workload, workload.make_model().eval(), workload.train, "cpu")
