import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from batchlab.numerics.censored_normal import LEAST_SD, fit_censored, informative


def draw(seed, noise, width):
    """Return limits of a line's values: exact, between two marks of a ruler, above or below a cap."""
    generator = numpy.random.default_rng(seed)
    x = generator.normal(size=24)
    y = 1.0 - 2.0 * x + noise * generator.normal(size=24)
    marks, cap = numpy.floor(y / width) * width, numpy.quantile(y, 0.7)
    kind = numpy.arange(24) % 4
    low = numpy.select([kind == 1, (kind == 2) & (y > cap), (kind == 3) & (y < cap)], [marks, cap, -math.inf], y)
    high = numpy.select(
        [kind == 1, (kind == 2) & (y > cap), (kind == 3) & (y < cap)], [marks + width, math.inf, cap], y
    )
    return low, high, numpy.stack([numpy.ones(24), x], axis=1)


def negative_log_likelihood(theta, low, high, design):
    """Return it from SciPy's distributions, one value at a time."""
    sd = math.exp(theta[-1])
    total = 0.0
    for bottom, top, mean in zip(low, high, design @ theta[:-1], strict=True):
        if bottom == top:
            total += stats.norm.logpdf(bottom, mean, sd)
        elif top == math.inf:
            total += stats.norm.logsf(bottom, mean, sd)
        else:
            total += math.log(max(stats.norm.cdf(top, mean, sd) - stats.norm.cdf(bottom, mean, sd), 1e-300))
    return LEAST_SD**2 * informative(low, high).sum() / sd**2 / 2 - total


@pytest.mark.parametrize("noise", [0.02, 0.3, 3.0])
@pytest.mark.parametrize("width", [0.05, 1.0])
def test_the_fit_is_the_maximum_that_a_direct_search_finds(noise, width):
    low, high, design = draw(0, noise, width)
    fit = fit_censored(low, high, numpy.zeros((1, 24)), design)
    found = optimize.minimize(
        negative_log_likelihood,
        [1.0, -2.0, math.log(noise)],
        args=(low, high, design),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 2000},
    )
    assert -fit.log_likelihood[0] == pytest.approx(found.fun, abs=1e-4)
    assert fit.coefficients[0] == pytest.approx(found.x[:-1], abs=1e-3 * noise)
    assert math.log(fit.sd[0]) == pytest.approx(found.x[-1], abs=2e-3)


def test_without_censoring_the_fit_is_least_squares():
    generator = numpy.random.default_rng(1)
    design = numpy.stack([numpy.ones(30), generator.normal(size=30)], axis=1)
    y = generator.normal(size=30)
    fit = fit_censored(y, y, numpy.zeros((1, 30)), design)
    expected, squares, *_ = numpy.linalg.lstsq(design, y)
    assert fit.coefficients[0] == pytest.approx(expected)
    assert fit.sd[0] == pytest.approx(math.sqrt(squares[0] / 30), rel=1e-5)


def test_many_offsets_are_fitted_as_one_by_one():
    low, high, design = draw(2, 0.3, 0.5)
    offsets = numpy.random.default_rng(3).normal(0, 2, (5, 24))
    together = fit_censored(low, high, offsets, design)
    for index in range(5):
        alone = fit_censored(low, high, offsets[index : index + 1], design)
        assert together.log_likelihood[index] == pytest.approx(alone.log_likelihood[0], abs=1e-4)
        assert together.coefficients[index] == pytest.approx(alone.coefficients[0], abs=1e-3)


@given(st.integers(0, 10**6), st.floats(-2, 2), st.floats(-3, 1), st.floats(-50, 50))
@settings(max_examples=60, deadline=None)
def test_shifting_and_permuting_the_values_shifts_the_fit(seed, log_noise, log_width, shift):
    low, high, design = draw(seed, 10.0**log_noise, 10.0**log_width)
    order = numpy.random.default_rng(seed).permutation(24)
    plain = fit_censored(low, high, numpy.zeros((1, 24)), design)
    moved = fit_censored((low + shift)[order], (high + shift)[order], numpy.zeros((1, 24)), design[order])
    assert moved.log_likelihood == pytest.approx(plain.log_likelihood, abs=2e-3)
    assert moved.coefficients[0] == pytest.approx(plain.coefficients[0] + [shift, 0.0], abs=1e-2 * plain.sd[0])


def test_a_value_without_scatter_keeps_a_finite_likelihood():
    fit = fit_censored(numpy.zeros(4), numpy.zeros(4), numpy.zeros((1, 4)), numpy.ones((4, 1)))
    assert fit.sd[0] == pytest.approx(LEAST_SD, rel=1e-6)
    assert math.isfinite(fit.log_likelihood[0])


def test_a_narrow_interval_counts_as_its_density_times_its_width():
    y = numpy.random.default_rng(4).normal(size=20)
    exact = fit_censored(y, y, numpy.zeros((1, 20)), numpy.ones((20, 1)))
    narrow = fit_censored(y - 5e-4, y + 5e-4, numpy.zeros((1, 20)), numpy.ones((20, 1)))
    assert narrow.log_likelihood[0] == pytest.approx(exact.log_likelihood[0] + 20 * math.log(1e-3), abs=1e-3)
    assert narrow.coefficients[0] == pytest.approx(exact.coefficients[0], abs=1e-6)
