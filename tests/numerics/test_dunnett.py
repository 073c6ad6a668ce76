import math

import numpy
import pytest
from scipy import stats

from batchlab.numerics.dunnett import dunnett_point, dunnett_probability


@pytest.mark.parametrize(
    ("n_arms", "n_seeds", "point"), [(8, 3, 2.592), (8, 5, 2.461), (8, 10, 2.393), (6, 5, 2.388), (4, 5, 2.287)]
)
def test_points_are_those_known(n_arms, n_seeds, point):
    assert dunnett_point(n_arms, (n_arms - 1) * (n_seeds - 1)) == pytest.approx(point, abs=1.2e-3)


@pytest.mark.parametrize("df", [1, 2, 4, 28, math.inf])
@pytest.mark.parametrize("point", [0.5, 2.0, 6.0])
def test_one_comparison_has_the_t_distribution(df, point):
    expected = stats.norm.cdf(point) if math.isinf(df) else stats.t.cdf(point, df)
    assert dunnett_probability(point, [math.sqrt(0.5)], df) == pytest.approx(expected, abs=1e-6)


def test_two_arms_need_the_one_sided_t_point():
    assert dunnett_point(2, 4) == pytest.approx(stats.t.ppf(0.95, 4))


def test_probability_of_unequal_arms_agrees_with_drawing_them():
    # 400,000 draws beforehand: standard error .0004; a false alarm is a 4-sigma event.
    variances = numpy.array([1.0, 0.2, 3.0, 1.0])
    generator = numpy.random.default_rng(2)
    means = generator.normal(size=(400_000, 4)) * numpy.sqrt(variances)
    scale = numpy.sqrt(generator.chisquare(9, 400_000) / 9)
    leads = (means[:, 1:] - means[:, :1]) / numpy.sqrt(variances[1:] + variances[0])
    drawn = ((leads.max(axis=1) / scale) <= 2.0).mean()
    loadings = numpy.sqrt(variances[0] / (variances[0] + variances[1:]))
    assert dunnett_probability(2.0, loadings, 9) == pytest.approx(drawn, abs=0.002)


def test_point_rises_with_arms_and_level_and_falls_with_degrees_of_freedom():
    assert dunnett_point(4, 12) < dunnett_point(8, 12) < dunnett_point(8, 12, 0.99)
    assert dunnett_point(8, 12) > dunnett_point(8, 1e9) == pytest.approx(dunnett_point(8, math.inf))


def test_perfect_correlation_is_cut_off_on_the_safe_side():
    assert dunnett_probability(2.0, [1.0, 1.0], math.inf) < stats.norm.cdf(2.0)


def test_one_arm_is_refused():
    with pytest.raises(ValueError) as error:
        dunnett_point(1, 4)
    assert str(error.value) == (
        "The Dunnett point needs `n_arms` of 2 or more, `df` above 0 and `level` in (0, 1), got 1, 4 and 0.95; "
        "with one arm or one seed nothing can be compared."
    )
