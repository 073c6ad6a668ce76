import numpy as np
import pytest
import torch

from batchlab.workloads.quadratic import NoisyQuadraticModel, mean_output, quadratic
from cases import reproducible

H = 1 / np.arange(1, 101)


def test_the_loss_at_the_start_is_half_the_sum_of_the_curvatures():
    model = quadratic().make_model().eval()
    outputs = model(torch.zeros(3, 1))
    assert outputs.tolist() == pytest.approx([0.5 * H.sum()] * 3, rel=1e-6)
    assert 0.5 * H.sum() == pytest.approx(2.5937, abs=1e-4)


def test_the_gradient_is_curvature_times_position_plus_the_mean_noise():
    model = NoisyQuadraticModel()
    model.theta.data = torch.linspace(-1, 2, 100)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        noise = torch.randn(8, 100).double().numpy()
        torch.manual_seed(0)
        mean_output(model(torch.zeros(8, 1)), torch.zeros(8)).backward()
    expected = H * np.linspace(-1, 2, 100) + (noise * np.sqrt(H)).mean(axis=0)
    np.testing.assert_allclose(model.theta.grad.numpy(), expected, atol=1e-6)


def test_evaluation_draws_no_noise():
    model = quadratic().make_model().eval()
    state = torch.get_rng_state()
    model(torch.zeros(3, 1))
    assert torch.equal(torch.get_rng_state(), state)


def test_sgd_follows_the_closed_form():
    # 40 runs of 60 steps at B = 16, eta = 0.5. The mean excess loss is within 4.5 standard errors of the closed form
    # but with probability about 1e-4 (t with 39 degrees of freedom).
    batch_size, eta, n_steps, n_runs = 16, 0.5, 60, 40
    factor = (1 - eta * H) ** (2 * n_steps)
    stationary = eta * H / (batch_size * H * (2 - eta * H))
    expected = 0.5 * (H * (factor + stationary * (1 - factor))).sum()
    losses = []
    with reproducible(seed=0):
        for _ in range(n_runs):
            model = quadratic().make_model()
            for _ in range(n_steps):
                model.theta.grad = None
                model(torch.zeros(batch_size, 1)).mean().backward()
                model.theta.data -= eta * model.theta.grad
            losses.append(float(model.eval()(torch.zeros(1, 1)).detach()))
    assert abs(np.mean(losses) - expected) < 4.5 * np.std(losses, ddof=1) / np.sqrt(n_runs)


def test_the_baseline_is_the_start():
    assert quadratic().baseline == "initial"
