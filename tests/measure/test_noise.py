import math
import re

import pytest
import torch
from torch import nn

import measure_cases
from batchlab.measure.noise import measure_noise
from batchlab.numerics.gradient_moments import add_noise_moments, noise_moments


def gaussian(n, size, seed):
    """Yield micro-batches of 20 independent coordinates with variance 1 each."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 20, generator=generator) for _ in range(n)]


def test_trace_and_signal_average_to_the_truth():
    # At w = 0.3 the truth is tr Σ = 20 and |G|² = 1.8; 400 blocks, false alarm rate .0006 for the two together.
    model = measure_cases.Shifted(torch.full((20,), 0.3))
    found = measure_noise(
        model, measure_cases.mean_output, gaussian(3200, 4, 0), micro_batches_per_block=8, tolerance=None
    )
    for blocks, truth in ((found.trace, 20), (found.signal, 1.8)):
        values = torch.tensor(blocks)
        assert abs(values.mean() - truth) < 3.6 * values.std() / math.sqrt(400)
    assert found.n_examples == 12_800
    assert found.noise_scale.low < 20 / 1.8 < found.noise_scale.high


def test_a_block_is_the_textbook_moments_of_its_gradients():
    model, mean_loss, _ = measure_cases.case("mlp")
    batches = [measure_cases.vectors(seed, n) for seed, n in ((0, 3), (1, 5), (2, 4))]
    gradients = []
    for batch in batches:
        model.zero_grad()
        mean_loss(model, batch).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]).double())
    whole = (3 * gradients[0] + 5 * gradients[1] + 4 * gradients[2]) / 12
    expected = noise_moments([float(g @ g) for g in gradients], float(whole @ whole), [3, 5, 4])
    found = measure_noise(model, mean_loss, batches, micro_batches_per_block=3)
    assert (found.trace[0], found.signal[0]) == pytest.approx(expected, rel=1e-5)


def test_layers_add_up_to_the_model():
    model, mean_loss, _ = measure_cases.case("mlp")
    batches = [measure_cases.vectors(seed) for seed in range(4)]
    found = measure_noise(model, mean_loss, batches, micro_batches_per_block=4)
    assert [name for name, _ in found.by_layer] == ["0", "2"]
    total = add_noise_moments((scale.trace.mean, scale.signal.mean) for _, scale in found.by_layer)
    assert total == pytest.approx((found.trace[0], found.signal[0]))


def test_frozen_parameters_do_not_count():
    model, mean_loss, _ = measure_cases.case("mlp")
    model[0].requires_grad_(False)
    batches = [measure_cases.vectors(seed) for seed in range(4)]
    frozen = measure_noise(model, mean_loss, batches, micro_batches_per_block=4)
    model[0].requires_grad_(True)
    whole = measure_noise(model, mean_loss, batches, micro_batches_per_block=4)
    assert frozen.trace[0] == pytest.approx(dict(whole.by_layer)["2"].trace.mean)


def test_dropout_in_training_mode_is_noise():
    # Every example is the same; its gradient is x times a mask over 0.5: Σ is |x|² p/(1 - p) on the diagonal, so that
    # tr Σ/|G|² = 1. False alarm rate .0001 by the interval itself.
    class Dropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(40))
            self.dropout = nn.Dropout(0.5)

        def forward(self, inputs):
            return self.dropout(inputs) @ self.w

    model, batches = Dropped(), [torch.ones(8, 40)] * 1600
    found = measure_noise(model, measure_cases.mean_output, batches, tolerance=None, seed=0)
    middle, half = found.noise_scale.value, (found.noise_scale.high - found.noise_scale.low) / 2
    assert abs(middle - 1) < 2 * half < 0.1
    model.eval()
    assert measure_noise(model, measure_cases.mean_output, batches).noise_scale.value == pytest.approx(0, abs=1e-6)


def test_batch_normalization_is_measured_by_micro_batch_and_left_as_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 4), nn.BatchNorm1d(4), nn.Linear(4, 5))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    batches = [measure_cases.vectors(seed, 8) for seed in range(40)]
    found = measure_noise(model, measure_cases.CLASSIFICATION, batches, micro_batches_per_block=4)
    assert found.normalized_over == "1" and found.training_mode
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    gradients = []
    for batch in batches[:4]:
        model.zero_grad()
        measure_cases.CLASSIFICATION(model, batch).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]).double())
    whole = sum(gradients) / 4
    expected = noise_moments([float(g @ g) for g in gradients], float(whole @ whole), 8)
    assert (found.trace[0], found.signal[0]) == pytest.approx(expected, rel=1e-4)


def test_a_shared_weight_counts_once():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    batches = [(torch.randn(4, 3), torch.randint(3, (4,))) for _ in range(2)]
    gradients = []
    for batch in batches:
        model.zero_grad()
        measure_cases.CLASSIFICATION(model, batch).backward()
        gradients.append(model[0].weight.grad.double().flatten())
    whole = sum(gradients) / 2
    expected = noise_moments([float(g @ g) for g in gradients], float(whole @ whole), 4)
    found = measure_noise(model, measure_cases.CLASSIFICATION, batches, micro_batches_per_block=2)
    assert (found.trace[0], found.signal[0]) == pytest.approx(expected, rel=1e-4)


def test_it_stops_when_the_interval_is_narrow():
    model = measure_cases.Shifted(torch.full((20,), 1.0))
    found = measure_noise(model, measure_cases.mean_output, gaussian(1000, 8, 1), micro_batches_per_block=10)
    assert found.noise_scale.n_blocks == 10 and found.n_examples == 800


def test_blocks_that_are_not_finite_are_left_out_and_counted():
    batches = gaussian(8, 4, 2)
    batches[0][0, 0] = math.inf
    model = measure_cases.Shifted(torch.zeros(20))
    found = measure_noise(model, measure_cases.mean_output, batches, micro_batches_per_block=2)
    assert found.n_skipped == 1 and found.noise_scale.n_blocks == 3


def test_too_few_micro_batches_are_refused():
    expected = (
        "A noise scale needs one block of 16 micro-batches with finite gradients or more, got 0 that were not finite "
        "and no other; give more micro-batches, or lower `micro_batches_per_block`."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        measure_noise(measure_cases.Shifted(torch.zeros(20)), measure_cases.mean_output, gaussian(15, 4, 0))
