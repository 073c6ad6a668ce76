import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.noise_planning import blocks_needed, examples_needed, noise_scale_error
from noise_cases import VARIANCES, gaussian_blocks


@pytest.mark.parametrize(("n_blocks", "examples"), [(1, 2200), (10, 3200), (30, 4600)])
def test_the_planning_example_comes_out(n_blocks, examples):
    assert round(examples_needed(400, 20, 0.2, n_blocks), -2) == examples


@given(st.floats(1, 1e5), st.floats(2, 1e4), st.floats(0.01, 1), st.integers(1, 50))
def test_the_examples_needed_are_just_enough(noise_scale, rank, error, n_blocks):
    n = examples_needed(noise_scale, rank, error, n_blocks)
    assert noise_scale_error(noise_scale, rank, n, n_blocks) <= error * (1 + 1e-9)
    if n > 1:
        assert noise_scale_error(noise_scale, rank, n - 1, n_blocks) > error * (1 - 1e-9)


@given(st.floats(1, 1e5), st.floats(2, 1e4), st.floats(0.01, 1), st.integers(1, 5000))
def test_the_blocks_needed_are_just_enough(noise_scale, rank, error, size):
    n_blocks = blocks_needed(noise_scale, rank, error, size)
    assert noise_scale_error(noise_scale, rank, n_blocks * size, n_blocks) <= error * (1 + 1e-9)
    if n_blocks > 1:
        assert noise_scale_error(noise_scale, rank, (n_blocks - 1) * size, n_blocks - 1) > error * (1 - 1e-9)


def test_the_error_planned_is_the_scatter_measured():
    # A gradient of equal parts in all 40 dimensions of equal variance: a typical direction. 1,500 repetitions
    # beforehand, standard error of the scatter 2 %; the plan leaves out the error of the trace.
    generator = numpy.random.default_rng(4)
    mean = numpy.sqrt(VARIANCES) * 0.3
    noise_scale = float(VARIANCES.sum() / (mean**2).sum())
    rank = float(VARIANCES.sum() ** 2 / (VARIANCES**2).sum())
    _, signal = gaussian_blocks(generator, mean, (1500, 10), 32, 1)
    scatter = float((signal.mean(axis=1)).std() / signal.mean())
    typical = math.sqrt(float((VARIANCES * mean**2).sum() / (mean**2).sum()) * rank / VARIANCES.sum())
    assert typical == pytest.approx(1.0)
    assert noise_scale_error(noise_scale, rank, 320, 10) == pytest.approx(scatter, rel=0.08)


def test_nothing_to_plan_from_is_refused():
    with pytest.raises(ValueError) as error:
        examples_needed(400, 20, 0.0)
    assert str(error.value) == (
        "All arguments must be finite and above 0, got 400, 20, 0, 1; "
        "start from a short measurement where nothing is known yet."
    )
