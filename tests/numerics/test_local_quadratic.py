import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.local_quadratic import closeness_weights, fit_local_quadratic, points_near

OCTAVES = numpy.arange(-2.0, 3.0)


def test_points_two_octaves_away_are_near():
    assert points_near(numpy.array([-3.0, -2.0, 0.0, 2.0, 2.1]), 0.0).tolist() == [False, True, True, True, False]


def test_weights_fall_with_the_excess_and_vanish_on_the_wall():
    weights = closeness_weights(numpy.array([0.0, 0.3, 0.3, 1.0, 1e6]))
    assert (numpy.diff(weights) <= 0).all()
    assert weights[0] == 1.0
    assert weights[-1] * 1e6**2 < 100


def test_weights_of_equal_points_are_equal():
    assert closeness_weights(numpy.zeros(4)).tolist() == [1.0] * 4


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2))
def test_a_quadratic_is_recovered_whatever_the_weights(level, slope, curvature):
    values = level + slope * OCTAVES + curvature * OCTAVES**2 / 2
    fit = fit_local_quadratic(OCTAVES + 5, values[:, None], 5.0, numpy.abs(values - values.min()))
    assert (fit.level, fit.slope, fit.curvature) == pytest.approx((level, slope, curvature), abs=1e-8)
    assert fit.noise == pytest.approx(0.0, abs=1e-12)
    assert fit.df == 2


def test_fit_is_that_of_weighted_least_squares():
    generator = numpy.random.default_rng(0)
    values, excess = generator.normal(size=5), generator.uniform(0, 1, 5)
    fit = fit_local_quadratic(OCTAVES, values[:, None], 0.0, excess)
    half, slope, level = numpy.polyfit(OCTAVES, values, 2, w=numpy.sqrt(closeness_weights(excess)))
    assert (fit.level, fit.slope, fit.curvature) == pytest.approx((level, slope, 2 * half))


@pytest.mark.parametrize("n_seeds", [1, 2, 4])
def test_noise_is_the_variance_of_a_points_mean_whatever_the_seed_effects(n_seeds):
    # 3,000 fits beforehand: relative standard error at most .018; a false alarm is a 4-sigma event.
    generator = numpy.random.default_rng(1)
    excess = numpy.array([1.2, 0.3, 0.0, 0.3, 5.0])
    noises = []
    for _ in range(3_000):
        table = OCTAVES[:, None] ** 2 + generator.normal(size=(5, n_seeds)) + generator.normal(0, 10, n_seeds)
        noises.append(fit_local_quadratic(OCTAVES, table, 0.0, excess).noise)
    assert numpy.mean(noises) == pytest.approx(1 / n_seeds, rel=0.075)


def test_three_points_of_one_seed_show_no_noise():
    fit = fit_local_quadratic(OCTAVES[:3], numpy.array([[1.0], [0.0], [1.0]]), 0.0, numpy.array([1.0, 0.0, 1.0]))
    assert numpy.isnan(fit.noise)
    assert fit.df == 0
