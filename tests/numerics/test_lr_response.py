import math

import numpy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from batchlab.numerics.lr_response import fit_lr_response, response_at, smooth_optima, tuning_variance

GRID = numpy.arange(-3.0, 4.0)
MEASURED = PchipInterpolator(GRID, (1.63, 0.75, 0.3, 0.0, 0.3, 0.92, 5.3), extrapolate=True)
metrics = st.lists(st.one_of(st.floats(-5, 5), st.sampled_from([math.nan, math.inf])), min_size=1, max_size=9)


def sweep(values, n_seeds=1, octaves=GRID):
    return 2.0**octaves, numpy.repeat(numpy.asarray(values, dtype=float)[:, None], n_seeds, axis=1)


@given(st.floats(-1.0, 1.0), st.floats(0.1, 10), st.floats(-5, 5))
def test_optimum_and_curvature_of_a_quadratic_are_exact(place, curvature, level):
    fit = fit_lr_response(2.0**GRID, level + curvature * (GRID - place) ** 2 / 2)
    assert math.log2(fit.best) == pytest.approx(place, abs=1e-6)
    assert fit.curvature == pytest.approx(curvature, rel=1e-5)
    assert fit.log2_variance == pytest.approx(0.0, abs=1e-9)
    assert (fit.at_edge, fit.flags) == (False, ())


def test_a_metric_to_maximize_is_its_negative():
    values = MEASURED(GRID) + numpy.random.default_rng(0).normal(0, 0.1, 7)
    assert fit_lr_response(2.0**GRID, values) == fit_lr_response(2.0**GRID, -values, higher_is_better=True)


def test_order_of_learning_rates_does_not_matter():
    values = MEASURED(GRID) + numpy.random.default_rng(0).normal(0, 0.1, 7)
    assert fit_lr_response(2.0**GRID, values) == fit_lr_response(2.0 ** GRID[::-1], values[::-1])


def test_seed_effects_do_not_matter():
    table = MEASURED(GRID)[:, None] + numpy.random.default_rng(0).normal(0, 0.1, (7, 3))
    plain, shifted = (
        fit_lr_response(2.0**GRID, table),
        fit_lr_response(2.0**GRID, table + numpy.array([5.0, -3.0, 0.0])),
    )
    assert shifted.best == pytest.approx(plain.best)
    assert shifted.log2_variance == pytest.approx(plain.log2_variance)


@given(metrics, st.floats(0.1, 3.0))
@example([0.0, 5e-324, 5.0, 1.0, math.inf], 1.0)
@example([1e-300, 0.0, 2e-300, 4e-300, 9e-300], 1.0)
@example([1.0, 0.0, 5e-324, 5.0, 4.0], 1.0)
def test_nothing_lies_beyond_the_rates_that_trained(values, step):
    rates = 2.0 ** (step * numpy.arange(len(values)))
    fit = fit_lr_response(rates, values)
    trained = rates[numpy.isfinite(values)]
    if len(trained):
        assert trained[0] <= fit.low <= fit.best <= fit.high <= trained[-1]
        assert 0 <= fit.log2_variance < math.inf
    else:
        assert fit.flags == ("all_diverged",)
        assert math.isnan(fit.best)


@pytest.mark.parametrize("wall", [5.3, 100.0, 1e6, 1e12])
def test_a_wall_of_any_height_moves_the_optimum_little(wall):
    values = numpy.array([1.63, 0.75, 0.3, 0.0, 0.3, wall, math.nan])
    assert math.log2(fit_lr_response(2.0**GRID, values).best) == pytest.approx(0.0, abs=0.25)


@pytest.mark.parametrize(
    ("values", "at_edge"),
    [
        ((0, 1, 2, 3, 4, 5, 6), True),
        ((6, 5, 4, 3, 2, 1, 0), True),
        ((6, 5, 4, 3, 2, 1, math.nan), False),
        ((math.inf, 1, 2, 3, 4, 5, 6), False),
        ((3, 2, 1, 0, 1, 2, 3), False),
        ((math.nan,) * 6 + (1,), True),
    ],
)
def test_the_edge_is_where_nothing_diverged_beyond(values, at_edge):
    assert fit_lr_response(2.0**GRID, values).at_edge is at_edge


def test_a_rate_at_which_one_seed_diverged_is_no_candidate():
    rates, table = sweep((3, 2, 1, 0.5, 0.2, 0.1, 0.0), n_seeds=2)
    table[6, 1] = math.inf
    fit = fit_lr_response(rates, table)
    assert fit.best <= rates[5]
    assert "some_diverged" in fit.flags


def test_where_the_curve_has_no_optimum_the_best_rate_tried_is_taken():
    fit = fit_lr_response(2.0**GRID, (0.0, 1.0, 1.5, 1.7, 1.8, 1.85, 1.9))
    assert fit.best == 2.0**-3
    assert "not_convex" in fit.flags
    assert fit.log2_variance >= 1 / 12


def test_a_flat_noisy_response_is_as_unsure_as_the_window_is_wide():
    fit = fit_lr_response(2.0**GRID, (0.1, -0.1, 0.12, -0.12, 0.11, -0.1, 0.1))
    assert fit.log2_variance > 0.5


def test_one_rate_says_where_to_look_and_that_nothing_is_known():
    fit = fit_lr_response([0.1], [0.5])
    assert (fit.best, fit.low, fit.high, fit.n_points) == (0.1, 0.1, 0.1, 1)
    assert fit.at_edge
    assert fit.flags == ("not_convex", "noise_unknown")
    assert fit.log2_variance == pytest.approx(16 / 12)


def test_on_a_plateau_the_middle_is_taken():
    assert fit_lr_response([1.0, 4.0, 16.0, 64.0, 256.0], [2.0, 1.0, 1.0, 1.0, 2.0]).best == pytest.approx(16.0)


@pytest.mark.parametrize("n_seeds", [1, 2, 3])
def test_variance_and_interval_are_calibrated_on_a_measured_response(n_seeds):
    # 600 sweeps beforehand. One seed leaves 2 degrees of freedom: the mean variance has a standard error of some 10 %;
    # what the quadratic misses makes it too large, never too small. Coverage has a standard error of .009.
    generator = numpy.random.default_rng(n_seeds)
    places, variances, limits = [], [], []
    for _ in range(600):
        grid = GRID + generator.uniform(-0.5, 0.5)
        table = MEASURED(grid)[:, None] + generator.normal(0, 0.2, (7, n_seeds)) + generator.normal(0, 1, n_seeds)
        fit = fit_lr_response(2.0**grid, table)
        places.append(math.log2(fit.best))
        variances.append(fit.log2_variance)
        limits.append((fit.low, fit.high))
    truth = 2.0 ** numpy.mean(places)
    covered = numpy.mean([low <= truth <= high for low, high in limits])
    assert 0.9 < numpy.mean(variances) / numpy.var(places) < 2.2
    assert 0.93 < covered < 0.99


def test_a_line_stays_a_line_when_smoothed():
    sizes = numpy.arange(3.0, 10.0)
    smoothed, _ = smooth_optima(sizes, 2 * sizes - 1, numpy.linspace(0.01, 1, 7))
    assert smoothed == pytest.approx(2 * sizes - 1)


@given(st.permutations(range(5)))
def test_smoothing_does_not_depend_on_the_order_of_sizes(order):
    sizes, optima, variances = numpy.arange(5.0), numpy.array([0, 2, 1, 4, 3.0]), numpy.array([1, 2, 3, 1, 2.0])
    index = list(order)
    straight = smooth_optima(sizes, optima, variances)
    mixed = smooth_optima(sizes[index], optima[index], variances[index])
    assert mixed[0] == pytest.approx(straight[0][index])
    assert mixed[1] == pytest.approx(straight[1][index])


@pytest.mark.parametrize("n", [0, 1, 2])
def test_up_to_two_sizes_stay_as_they_are(n):
    smoothed, variances = smooth_optima(range(n), [0.5, 0.7][:n], [0.1, 0.2][:n])
    assert smoothed.tolist() == [0.5, 0.7][:n]
    assert variances.tolist() == [0.1, 0.2][:n]


def test_variances_of_smoothed_optima_are_those_of_drawn_ones():
    # 20,000 draws beforehand: relative standard error .01; a false alarm is a 4-sigma event.
    variances = numpy.array([0.04, 0.5, 0.1, 0.1, 0.02])
    draws = numpy.random.default_rng(5).normal(size=(20_000, 5)) * numpy.sqrt(variances)
    identity = numpy.stack([smooth_optima(range(5), unit, variances)[0] for unit in numpy.eye(5)])
    _, found = smooth_optima(range(5), numpy.zeros(5), variances)
    assert found == pytest.approx((draws @ identity).var(axis=0), rel=0.04)
    assert found.max() < 0.11


def test_a_lucky_fit_does_not_rule_its_neighbors():
    smoothed, _ = smooth_optima(range(5), [0.0, 0.0, 1.0, 0.0, 0.0], [0.1, 0.1, 1e-12, 0.1, 0.1])
    assert smoothed[2] < 0.5


def test_slope_and_curvature_are_those_of_the_metric_in_its_own_direction():
    values = 3.0 - 0.4 * GRID - 0.7 * GRID**2 / 2
    local = response_at(2.0**GRID, values, 2.0**0.5)
    assert (local.slope, local.curvature) == pytest.approx((-0.4 - 0.7 * 0.5, -0.7))


def test_two_rates_give_a_line_and_one_gives_nothing():
    line = response_at([1.0, 4.0, 64.0], [0.0, 3.0, math.nan], 2.0)
    assert (line.slope, line.curvature) == pytest.approx((1.5, 0.0))
    nothing = response_at([1.0, 2.0], [0.0, math.nan], 1.0)
    assert (nothing.slope, nothing.curvature) == (0.0, 0.0)


def test_tuning_variance_is_that_of_a_quadratic_of_a_normal_error():
    # 400,000 draws beforehand: relative standard error .004; a false alarm is a 4-sigma event.
    errors = numpy.random.default_rng(6).normal(0, math.sqrt(0.3), 400_000)
    drawn = (0.4 * errors + 0.9 * errors**2 / 2).var()
    assert tuning_variance(0.4, 0.9, 0.3) == pytest.approx(drawn, rel=0.016)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fit_lr_response([0.1, 0.2], [1.0]),
            "`metric` must have shape (n,) or (n, seeds) for n learning rates, got (1,) for learning rates of shape "
            "(2,); pass one row a learning rate.",
        ),
        (
            lambda: fit_lr_response([0.1, 0.1], [1.0, 2.0]),
            "Learning rates must be positive and different, got [0.1, 0.1]; "
            "pass repetitions of one rate as columns of `metric`.",
        ),
        (
            lambda: response_at([0.0, 0.1], [1.0, 2.0], 0.1),
            "Learning rates must be positive and different, got [0.0, 0.1]; "
            "pass repetitions of one rate as columns of `metric`.",
        ),
        (
            lambda: smooth_optima([1, 2], [1.0], [1.0]),
            "The three arguments must be one-dimensional and of one length, got shapes (2,), (1,) and (1,); "
            "pass one entry a batch size.",
        ),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message
