import re

import numpy as np
import pytest
import torch
from torch import nn

import measure_cases
from batchlab.measure.gradient_norms import draw_streams, measure_gradient_norms
from batchlab.measure.gradients import batch_gradient
from batchlab.measure.per_example import per_example_sq_norms
from batchlab.workload import cross_entropy
from batchlab.workloads.digits import draw_digits
from batchlab.workloads.models import mlp

DIGITS = measure_cases.mean_loss_of(cross_entropy)


def reader(*parts):
    return lambda indices: tuple(part[indices] for part in parts) if len(parts) > 1 else parts[0][indices]


def trained(epochs):
    """Return an MLP on the digits, trained for so many epochs of 32 examples each, and its data."""
    torch.manual_seed(0)
    model = mlp(64, 32, 10)
    inputs, targets = (torch.as_tensor(part) for part in draw_digits(0).train)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(32):
            optimizer.zero_grad()
            cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()
    return model, inputs, targets


# 150 draws of each size beforehand; false alarm rate .0004 for the six together. benchmarks/gradient_norm_law.py has
# 1,000 draws of sizes up to 1024, and fixed factors.
@pytest.mark.parametrize("epochs", [1, 10])
def test_the_law_holds_for_digits(epochs):
    model, inputs, targets = trained(epochs)
    whole = batch_gradient(model, DIGITS, tuple(model.parameters()), (inputs, targets))
    signal = float(sum(part.double().square().sum() for part in whole))
    trace = float(per_example_sq_norms(model, DIGITS, (inputs, targets), method="closed").mean()) - signal
    sizes = (16, 64, 256)
    drawn = measure_gradient_norms(
        model, DIGITS, reader(inputs, targets), draw_streams(len(inputs), 256, 150, seed=1), batch_sizes=sizes
    )
    relative = drawn.sq_norms / (signal + trace / np.array(sizes))
    errors = relative.std(axis=0, ddof=1) / 150**0.5
    assert (errors < 0.15).all(), errors
    assert (np.abs(relative.mean(axis=0) - 1) < 4 * errors).all(), relative.mean(axis=0)


def test_smaller_batches_are_the_beginnings_of_larger_ones():
    model = measure_cases.Shifted(torch.zeros(3))
    data = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    drawn = measure_gradient_norms(
        model, measure_cases.mean_output, reader(data), draw_streams(50, 8, 5, seed=2), batch_sizes=(1, 3, 8)
    )
    generator = torch.Generator().manual_seed(2)
    for row in drawn.sq_norms:
        chosen = data[torch.randint(50, (8,), generator=generator)]
        expected = [float(chosen[:size].mean(dim=0).square().sum()) for size in (1, 3, 8)]
        assert row.tolist() == pytest.approx(expected, rel=1e-5)


def test_large_batches_go_through_in_parts(monkeypatch):
    monkeypatch.setattr("batchlab.measure.gradient_norms.MOST_AT_ONCE", 4)
    seen = []

    def read(indices):
        seen.append(len(indices))
        return torch.zeros(len(indices), 2)

    model = measure_cases.Shifted(torch.ones(2))
    drawn = measure_gradient_norms(model, measure_cases.mean_output, read, draw_streams(9, 12, 1), batch_sizes=(2, 12))
    assert seen == [2, 4, 4, 2] and drawn.sq_norms.tolist() == [pytest.approx([2, 2])]


def test_batch_normalization_always_sees_the_smallest_size():
    seen = []

    def read(indices):
        seen.append(len(indices))
        return measure_cases.vectors(0, len(indices))

    model = nn.Sequential(nn.BatchNorm1d(7), nn.Linear(7, 5))
    drawn = measure_gradient_norms(
        model, measure_cases.CLASSIFICATION, read, draw_streams(9, 16, 2), batch_sizes=(4, 8, 16)
    )
    assert set(seen) == {4} and drawn.normalized_over == "0"
    assert model[0].num_batches_tracked == 0


def test_sizes_that_batch_normalization_cannot_have_are_refused():
    model = nn.Sequential(nn.BatchNorm1d(7), nn.Linear(7, 5))
    expected = (
        "Batch sizes must be multiples of the smallest (4) where a module normalizes over the batch, got 6; leave it "
        "out."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        measure_gradient_norms(model, measure_cases.CLASSIFICATION, None, draw_streams(9, 6, 2), batch_sizes=(4, 6))


def test_streams_that_are_not_finite_are_left_out():
    data = torch.tensor([[1.0], [float("nan")]])
    model = measure_cases.Shifted(torch.zeros(1))
    drawn = measure_gradient_norms(
        model, measure_cases.mean_output, reader(data), draw_streams(2, 2, 40), batch_sizes=(1, 2)
    )
    assert 0 < drawn.n_skipped < 40 and len(drawn.sq_norms) == 40 - drawn.n_skipped


@pytest.mark.parametrize("sizes", [(4,), (4, 2), (0, 2), (2, 2)])
def test_other_sizes_than_rising_ones_are_refused(sizes):
    expected = f"`batch_sizes` must be two or more whole numbers in rising order, got {list(sizes)}; use powers of two."
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        measure_gradient_norms(measure_cases.mlp(), measure_cases.CLASSIFICATION, None, [], batch_sizes=sizes)


def test_a_stream_of_another_length_is_refused():
    expected = "A stream must have 4 examples, as many as the largest batch size, got 3; see `draw_streams`."
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        measure_gradient_norms(
            measure_cases.mlp(), measure_cases.CLASSIFICATION, None, draw_streams(9, 3, 1), batch_sizes=(2, 4)
        )
