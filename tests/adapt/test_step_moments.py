import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from batchlab.adapt.step_moments import StepNorms, step_moments
from batchlab.numerics.gradient_moments import noise_moments

SIZES = st.lists(st.integers(1, 64), min_size=2, max_size=6)


def moments(gradients, sizes, weights, scale=1.0):
    """Return the (trace, signal) of single-layer gradients as they would be accumulated."""
    noted = StepNorms()
    for gradient, size, weight in zip(gradients, sizes, weights, strict=True):
        noted.add((scale * weight * gradient).square().sum().reshape(1), size, weight)
    total = sum(scale * weight * gradient for gradient, weight in zip(gradients, weights, strict=True))
    return step_moments(noted, total.square().sum().reshape(1), scale=scale).by_layer


@given(SIZES, st.floats(0.01, 1e4))
def test_weights_in_proportion_to_examples_give_the_textbook_moments(sizes, scale):
    gradients = torch.randn(len(sizes), 5, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(sizes)))
    weights = [size / sum(sizes) for size in sizes]
    whole = sum(weight * gradient for weight, gradient in zip(weights, gradients, strict=True))
    expected = noise_moments(gradients.square().sum(dim=1).numpy(), float(whole @ whole), sizes)
    assert moments(gradients, sizes, weights, scale)[0] == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.25, 0.25, 0.5), (8.0, 1.0, 2.0)])
def test_any_weights_give_unbiased_moments(weights):
    # tr Σ = 30 and |G|² = 2.7 in 30 dimensions; 1,500 draws, false alarm rate .0006 for the two together.
    sizes, generator = (8, 2, 5), torch.Generator().manual_seed(0)
    found = []
    for _ in range(1500):
        noise = torch.randn(3, 30, dtype=torch.float64, generator=generator)
        gradients = 0.3 + noise / torch.tensor(sizes).double().sqrt()[:, None]
        found.append(moments(gradients, sizes, weights)[0])
    for values, truth in zip(torch.tensor(found).T, (30, 2.7), strict=True):
        assert abs(values.mean() - truth) < 3.6 * values.std() / math.sqrt(1500)


@pytest.mark.parametrize("wrong", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_gives_none(wrong):
    assert moments(torch.tensor([[wrong], [1.0]]), (1, 1), (1.0, 1.0)) is None


def test_one_micro_batch_gives_nothing():
    assert moments(torch.ones(1, 2), (4,), (1.0,)) == ()


def test_parameters_are_added_to_their_layers():
    noted = StepNorms()
    for norms in ([1.0, 2.0, 4.0], [3.0, 0.0, 6.0]):
        noted.add(torch.tensor(norms), 1, 0.5)
    found = step_moments(noted, torch.tensor([1.0, 0.5, 1.5]), (0, 2)).by_layer
    # |g|² are four times those noted: on average 12 and 20 for single examples, 1.5 and 1.5 for the two together.
    assert found == ((2 * (12 - 1.5), 2 * 1.5 - 12), (2 * (20 - 1.5), 2 * 1.5 - 20))
