import math

import numpy
import pytest
from scipy import stats

from batchlab.numerics.size_scatter import scatter_about


def line_of_means(seed, between):
    """Return 6 sizes with 4 seeds each about a line: x, y, and the sums of squares about line and means."""
    generator = numpy.random.default_rng(seed)
    x = numpy.repeat(numpy.arange(6.0), 4)
    y = x + generator.normal(size=24) + numpy.repeat(generator.normal(0, between, 6), 4)
    line = stats.linregress(x, y)
    about_line = ((y - line.intercept - line.slope * x) ** 2).sum()
    within = ((y.reshape(6, 4) - y.reshape(6, 4).mean(axis=1, keepdims=True)) ** 2).sum()
    return x, y, about_line, within


@pytest.mark.parametrize("between", [0.0, 3.0])
def test_the_test_of_fit_is_the_textbook_lack_of_fit_test(between):
    _, _, about_line, within = line_of_means(0, between)
    expected = stats.f.sf((about_line - within) / 4 / (within / 18), 4, 18)
    assert scatter_about(24, 6, 2, 24 * math.log(about_line / within)).p_value == pytest.approx(expected)


def test_a_model_that_fits_is_judged_by_all_its_residuals():
    scatter = scatter_about(24, 6, 2, 0.1)
    assert (scatter.mean_square, scatter.df) == (1 / 22, 22)


def test_a_model_that_does_not_fit_is_judged_by_the_sizes():
    x, y, about_line, within = line_of_means(1, 3.0)
    scatter = scatter_about(24, 6, 2, 24 * math.log(about_line / within))
    line = stats.linregress(numpy.arange(6.0), y.reshape(6, 4).mean(axis=1))
    half = line.stderr * stats.t.ppf(0.975, 4)
    spread = ((x - x.mean()) ** 2).sum()
    assert math.sqrt(scatter.allowed(0.95) * about_line / spread) == pytest.approx(half)


def test_a_further_coefficient_is_tested_as_in_regression():
    x, y, about_line, _ = line_of_means(2, 0.0)
    design = numpy.stack([numpy.ones(24), x, x**2], axis=1)
    about_parabola = float(numpy.linalg.lstsq(design, y)[1][0])
    expected = stats.f.sf((about_line - about_parabola) / (about_parabola / 21), 1, 21)
    scatter = scatter_about(24, 6, 3, 0.0)
    assert scatter.p_value_of(24 * math.log(about_line / about_parabola), 24) == pytest.approx(expected)


def test_without_spare_values_nothing_is_known():
    assert scatter_about(2, 2, 2, 0.0) is None


def test_with_one_seed_a_size_there_is_no_test_of_fit():
    assert scatter_about(5, 5, 2, 0.0).p_value == 1.0
