import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from batchlab.numerics.intervals import t_interval
from batchlab.numerics.moments import Moments, add_value, mean_interval, merge_moments, moments_of

streams = st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), max_size=12)


def close(first, second, values):
    """Return whether two records agree to rounding in units of the values' range."""
    n, scale = max(len(values), 1), max((abs(value) for value in values), default=0.0) or 1.0
    apart = [
        abs(first.mean - second.mean) / scale,
        *(abs(getattr(first, f"m{k}") - getattr(second, f"m{k}")) / (n * (2 * scale) ** k) for k in (2, 3, 4)),
    ]
    return first.n == second.n and max(apart) < 1e-12


@given(streams, streams)
def test_merging_two_streams_equals_one_pass_over_both(first, second):
    merged = merge_moments(moments_of(first), moments_of(second))
    assert close(merged, moments_of(first + second), first + second)


@given(streams, streams)
def test_merging_is_commutative(first, second):
    a, b = moments_of(first), moments_of(second)
    assert close(merge_moments(a, b), merge_moments(b, a), first + second)


@given(streams, streams, streams)
def test_merging_is_associative(first, second, third):
    a, b, c = moments_of(first), moments_of(second), moments_of(third)
    left, right = merge_moments(merge_moments(a, b), c), merge_moments(a, merge_moments(b, c))
    assert close(left, right, first + second + third)


def test_merged_shape_statistics_are_scipys():
    values = numpy.random.default_rng(0).gamma(2.0, size=300)
    merged = Moments()
    for part in numpy.split(values, [1, 7, 150]):
        merged = merge_moments(merged, moments_of(part))
    assert merged.mean == pytest.approx(values.mean())
    assert merged.variance == pytest.approx(values.var(ddof=1))
    assert merged.sd == pytest.approx(values.std(ddof=1))
    assert merged.skewness == pytest.approx(stats.skew(values))
    assert merged.excess_kurtosis == pytest.approx(stats.kurtosis(values))
    assert merged.mean_error == pytest.approx(stats.sem(values))


def test_adding_numbers_one_by_one_equals_one_pass():
    values = numpy.random.default_rng(1).normal(1e6, 1.0, 200)
    moments = Moments()
    for value in values:
        moments = add_value(moments, value)
    assert moments.variance == pytest.approx(values.var(ddof=1), rel=1e-8)
    assert moments.excess_kurtosis == pytest.approx(stats.kurtosis(values), rel=1e-6)


def test_what_the_numbers_do_not_determine_is_nan():
    nothing, one, equal = Moments(), moments_of([2.0]), moments_of([2.0, 2.0, 2.0])
    assert math.isnan(nothing.variance) and math.isnan(one.variance) and math.isnan(one.mean_error)
    assert equal.variance == 0.0
    assert math.isnan(equal.skewness) and math.isnan(equal.excess_kurtosis) and math.isnan(equal.sd_error)


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0], [1.0, 2.0, 4.0, 8.0]])
def test_interval_of_the_mean_is_that_of_the_numbers(values):
    found, expected = mean_interval(moments_of(values), level=0.9), t_interval(values, level=0.9)
    assert found.mean == expected.mean
    if len(values) < 3:
        assert (found.low, found.high) == (expected.low, expected.high) == (None, None)
    else:
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("draw", ["normal", "uniform", "laplace"])
def test_error_of_the_standard_deviation_is_its_scatter(draw):
    # 3,000 samples of 400 beforehand: the scatter is known to 1.3 %, the kurtosis costs Laplace some bias.
    samples = getattr(numpy.random.default_rng(2), draw)(size=(3000, 400))
    scatter = samples.std(axis=1, ddof=1).std()
    assert numpy.mean([moments_of(sample).sd_error for sample in samples]) == pytest.approx(scatter, rel=0.06)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(ValueError) as error:
        moments_of([1.0, math.inf, math.nan])
    assert str(error.value) == (
        "`values` must be finite, got 2 of 3 that are not; leave out the steps whose gradient overflowed."
    )
