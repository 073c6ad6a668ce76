import re

import pytest
import torch
from torch import nn

import measure_cases
from batchlab.measure.weighted_noise import (
    adam_preconditioner,
    measure_curvature_noise,
    measure_preconditioned_noise,
)
from batchlab.numerics.gradient_moments import noise_moments

CURVATURE = torch.tensor([4.0, 1.0, 0.25])
START = torch.tensor([0.3, -0.5, 2.0])


class Quadratic(nn.Module):
    """g_i = D (w - x_i) for the loss (w - x_i)'D(w - x_i)/2, with Hessian D."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(START.clone())

    def forward(self, inputs):
        return 0.5 * ((self.w - inputs).square() * CURVATURE).sum(dim=1)


def gaussian(n, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 3, generator=generator) for _ in range(n)]


def test_curvature_weights_noise_and_signal_without_bias():
    # 600 blocks, false alarm rate .0006 for the two together.
    found = measure_curvature_noise(Quadratic(), measure_cases.mean_output, gaussian(1800, 4))
    trace, signal = float((CURVATURE**3).sum()), float((CURVATURE**3 * START**2).sum())
    for interval, truth in ((found.trace, trace), (found.signal, signal)):
        assert abs(interval.mean - truth) < 3.6 / 1.96 * (interval.high - interval.mean)
    assert found.n_blocks == 600 and found.low < trace / signal < found.high


def test_a_product_with_the_hessian_is_that_of_the_third_batch():
    model, mean_loss, _ = measure_cases.case("mlp")
    parameters = list(model.parameters())
    batches = [measure_cases.vectors(seed) for seed in range(3)]

    def flat_gradient(batch, create_graph=False):
        return torch.cat(
            [g.flatten() for g in torch.autograd.grad(mean_loss(model, batch), parameters, create_graph=create_graph)]
        )

    first, second = (flat_gradient(batch) for batch in batches[:2])
    slope = flat_gradient(batches[2], create_graph=True)
    rows = [torch.autograd.grad(one, parameters, retain_graph=True, materialize_grads=True) for one in slope]
    hessian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])
    found = measure_curvature_noise(model, mean_loss, batches)
    apart = first - second
    assert found.signal.mean == pytest.approx(float(first @ hessian @ second), rel=1e-4)
    assert found.trace.mean == pytest.approx(measure_cases.N / 2 * float(apart @ hessian @ apart), rel=1e-4)


def test_a_parameter_in_which_the_loss_is_linear_has_no_curvature():
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.bent, self.straight = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))

        def forward(self, inputs):
            return (inputs * self.bent.square()).sum(dim=1) + inputs @ self.straight

    batches = [torch.tensor([[1.0, 2.0]])] * 3
    found = measure_curvature_noise(Linear(), measure_cases.mean_output, batches)
    # H = diag(2x) and g = 2x for the bent part alone.
    assert found.signal.mean == pytest.approx(2 * 1**3 * 4 + 2 * 2**3 * 4) and found.trace.mean == pytest.approx(0)


def test_elements_are_multiplied_by_the_root_of_the_preconditioner():
    model, mean_loss, _ = measure_cases.case("mlp")
    generator = torch.Generator().manual_seed(3)
    weights = {name: torch.rand(p.shape, generator=generator) for name, p in model.named_parameters()}
    roots = torch.cat([weight.flatten() for weight in weights.values()]).double().sqrt()
    batches = [measure_cases.vectors(seed, n) for seed, n in ((0, 3), (1, 5), (2, 4))]
    rows = [roots * measure_cases.plain_gradients(model, mean_loss, batch).mean(dim=0) for batch in batches]
    whole = (3 * rows[0] + 5 * rows[1] + 4 * rows[2]) / 12
    expected = noise_moments([float(row @ row) for row in rows], float(whole @ whole), [3, 5, 4])
    found = measure_preconditioned_noise(model, mean_loss, batches, weights, micro_batches_per_block=3)
    assert (found.trace.mean, found.signal.mean) == pytest.approx(expected, rel=1e-4)


def test_a_preconditioner_alike_in_all_directions_changes_nothing():
    model = Quadratic()
    scales = [
        measure_preconditioned_noise(
            model, measure_cases.mean_output, gaussian(96, 4), {"w": torch.full((3,), factor)}
        ).value
        for factor in (1.0, 100.0)
    ]
    assert scales[0] == pytest.approx(scales[1], rel=1e-5)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_the_preconditioner_is_what_adam_divides_by(kind):
    torch.manual_seed(0)
    model, mean_loss, batch = measure_cases.case("mlp")
    optimizer = kind(model.parameters(), lr=0.01, betas=(0.0, 0.9), weight_decay=0)
    for _ in range(3):
        optimizer.zero_grad()
        mean_loss(model, batch).backward()
        before = [parameter.detach().clone() for parameter in model.parameters()]
        optimizer.step()
    found = adam_preconditioner(model, optimizer)
    for start, (name, parameter) in zip(before, model.named_parameters(), strict=True):
        assert torch.allclose(start - parameter, 0.01 * found[name] * parameter.grad, atol=1e-6)


def test_an_optimizer_without_squared_gradients_has_no_preconditioner():
    model = nn.Linear(2, 1)
    expected = (
        "A preconditioner is read from an optimizer of the Adam family that has made a step with every trained "
        "parameter, but SGD keeps no squared gradients of 'weight'; train a step first."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        adam_preconditioner(model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_too_few_batches_are_refused():
    expected = "A noise scale needs one block of 3 batches or more, got fewer; give more batches of some examples."
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        measure_curvature_noise(Quadratic(), measure_cases.mean_output, gaussian(2, 4))


def test_the_model_is_left_as_it_was():
    model = Quadratic()
    model.w.grad = torch.ones(3)
    measure_curvature_noise(model, measure_cases.mean_output, gaussian(9, 4))
    assert model.w.grad.tolist() == [1, 1, 1] and torch.equal(model.w.detach(), START)
