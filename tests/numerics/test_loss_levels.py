import math

import numpy
import pytest

from batchlab.numerics.loss_levels import loss_curve

POSITIONS = [100 * 2**k for k in range(8)]


def test_levels_of_a_falling_curve_are_its_losses():
    curve = loss_curve(POSITIONS, [1 / place for place in POSITIONS])
    assert curve.levels.tolist() == [1 / place for place in POSITIONS] and curve.noise == 0
    assert curve.examples_to(1 / 400) == pytest.approx(400)


def test_a_level_between_two_evaluations_is_interpolated_in_the_logarithm_of_examples():
    assert loss_curve([100, 400], [2.0, 1.0]).examples_to(1.5) == pytest.approx(200)


def test_what_was_never_reached_takes_forever_and_what_was_there_first_takes_one_evaluation():
    curve = loss_curve([100, 400], [2.0, 1.0])
    assert curve.examples_to(0.5) == math.inf and curve.examples_to(3.0) == 100


def test_noise_about_the_curve_is_seen():
    generator = numpy.random.default_rng(0)
    positions = numpy.arange(1, 401) * 10.0
    curve = loss_curve(positions, 5 - 0.001 * positions + 0.2 * generator.standard_normal(400))
    assert curve.noise == pytest.approx(0.2, rel=0.15)
    assert curve.examples_to(3.0) == pytest.approx(2000, rel=0.1)


def test_a_level_is_a_mean_over_the_last_quarter():
    curve = loss_curve([100, 200, 300, 400], [4.0, 3.0, 2.0, 1.0])
    level = curve.level_at(400)
    assert level.loss == 1.0 and level.examples == pytest.approx(400)
    assert curve.level_at(350).loss == 2.0


def test_a_loss_that_is_not_finite_ends_the_curve():
    assert loss_curve([100, 200, 300], [2.0, 1.0, math.nan]).positions.tolist() == [100, 200]
    assert loss_curve([100], [math.inf]).positions.tolist() == []


def test_the_slope_is_per_e_fold_of_examples():
    curve = loss_curve(POSITIONS, [10 - math.log(place) for place in POSITIONS])
    assert curve.slope_at(800) == pytest.approx(1, rel=0.05)
    assert loss_curve([100, 200, 400], [1.0, 1.0, 1.0]).slope_at(200) == 0
