import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.crossings import (
    Crossing,
    crossing_scatter,
    first_crossing,
    in_steps,
    smooth_curve,
    steps_to_fit,
)
from batchlab.numerics.tradeoff import fit_tradeoff

EXAMPLES = numpy.arange(0, 10_001, 500.0)
falling = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20)


@given(falling, st.floats(0.0, 1.0))
def test_the_crossing_is_the_first_evaluation_at_the_target(values, target):
    positions = [10.0 * (index + 1) for index in range(len(values))]
    crossing = first_crossing(positions, values, target)
    index = next((index for index, value in enumerate(values) if value <= target), None)
    if index is None:
        assert crossing.status in ("not_reached", "plateaued")
        assert (crossing.low, crossing.high, crossing.point) == (positions[-1], math.inf, None)
    else:
        assert crossing.status == "reached"
        assert (crossing.low, crossing.high) == (10.0 * index, 10.0 * (index + 1))
        assert crossing.low <= crossing.point <= crossing.high * (1 + 1e-12)


@given(falling, st.floats(0.0, 1.0))
def test_a_metric_to_maximize_is_its_negative(values, target):
    positions = range(1, len(values) + 1)
    higher = first_crossing(positions, [-value for value in values], -target, higher_is_better=True)
    assert higher == first_crossing(positions, values, target)


def test_the_point_of_a_line_in_the_logarithm_is_exact():
    examples = 2.0 ** numpy.arange(1, 11)
    crossing = first_crossing(examples, 10 - numpy.log2(examples), 3.75)
    assert crossing.point == pytest.approx(2**6.25)


def test_from_the_untrained_model_on_the_point_is_linear():
    assert first_crossing([0, 100], [1.0, 0.0], 0.25).point == pytest.approx(75.0)


def test_a_target_met_at_the_first_evaluation_has_no_lower_limit():
    assert first_crossing([100, 200], [0.1, 0.1], 0.2) == Crossing(0.0, 100.0, "reached", 100.0)


def test_a_target_the_untrained_model_meets_is_trivial():
    assert first_crossing([0, 100], [0.1, 0.5], 0.2).status == "trivial"


def test_divergence_is_kept_apart_from_running_out_of_budget():
    assert first_crossing([100, 200, 300], [0.9, math.nan, 0.1], 0.2) == Crossing(100.0, math.inf, "diverged")
    assert first_crossing([100], [math.inf], 0.2) == Crossing(0.0, math.inf, "diverged")


def test_a_target_reached_before_divergence_counts():
    assert first_crossing([100, 200, 300], [0.9, 0.1, math.inf], 0.2).status == "reached"


def test_a_curve_that_no_longer_moves_has_plateaued():
    # 200 curves beforehand; with 11 evaluations in the last half each is named a plateau far beyond 4 sigma.
    generator = numpy.random.default_rng(0)
    level = 0.5 + 0.4 * numpy.exp(-EXAMPLES / 1000)
    found = [first_crossing(EXAMPLES, level + generator.normal(0, 0.01, 21), 0.3).status for _ in range(200)]
    assert set(found) == {"plateaued"}


def test_a_curve_that_got_worse_has_plateaued():
    assert first_crossing(EXAMPLES, 0.5 + EXAMPLES / 1e5, 0.3).status == "plateaued"


def test_a_curve_on_its_way_is_seldom_called_a_plateau():
    # 400 curves beforehand that reach the target at ten times the budget: at most .05 may be called plateaus; the
    # standard error is .011, so .095 is a 4-sigma event.
    generator = numpy.random.default_rng(1)
    level = 0.3 + 0.1 * numpy.log(1e5 / numpy.maximum(EXAMPLES, 500.0))
    found = [first_crossing(EXAMPLES, level + generator.normal(0, 0.05, 21), 0.3).status for _ in range(400)]
    assert found.count("plateaued") / 400 < 0.095


def test_too_few_evaluations_show_no_plateau():
    assert first_crossing([100, 200, 300, 400], [0.5, 0.5, 0.5, 0.5], 0.3).status == "not_reached"


def test_smoothing_keeps_a_dip_from_counting():
    metric = numpy.full(21, 0.5)
    metric[4], metric[15:] = 0.1, 0.1
    assert first_crossing(EXAMPLES, metric, 0.2).high == 2000
    assert first_crossing(EXAMPLES, metric, 0.2, window=2000).low > 5000


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 20_000))
def test_smoothing_leaves_a_line_as_it_is(level, slope, window):
    line = level + slope * EXAMPLES / 1e4
    assert smooth_curve(EXAMPLES, line, window) == pytest.approx(line, abs=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.floats(0, 40))
def test_smoothing_is_a_mean_over_the_window(values, window):
    found = smooth_curve(range(len(values)), values, window)
    for index, value in enumerate(found):
        reach = min(math.floor(window / 2 * (1 + 1e-9)), index, len(values) - 1 - index)
        assert value == pytest.approx(numpy.mean(values[index - reach : index + reach + 1]), abs=1e-9)


def test_smoothing_does_not_depend_on_what_a_step_is():
    metric = numpy.random.default_rng(2).normal(size=21)
    in_examples = smooth_curve(EXAMPLES, metric, 3000)
    assert smooth_curve(EXAMPLES / 64, metric, 3000 / 64).tolist() == in_examples.tolist()


def test_crossings_become_steps_and_then_a_trade_off():
    found = {}
    for size in (8, 64, 512, 4096):
        # One over the examples falls to 1/E at E examples.
        examples = 1000 * (size + 256) * numpy.array([0.5, 0.9, 1.1, 2.0])
        crossing = first_crossing(examples, 1 / examples, 1 / (1000 * (size + 256)))
        found[size] = [in_steps(crossing, size), Crossing(50.0, math.inf, "diverged")]
    batch_sizes, limits = steps_to_fit(found)
    assert batch_sizes.tolist() == [8, 64, 512, 4096]
    fit = fit_tradeoff(batch_sizes, limits)
    assert fit.critical_batch_size == pytest.approx(256, rel=0.1)


def test_without_usable_runs_there_is_nothing_to_fit():
    batch_sizes, limits = steps_to_fit({8: [Crossing(50.0, math.inf, "plateaued")]})
    assert (batch_sizes.shape, limits.shape) == ((0,), (0, 2))


def test_positions_that_fall_are_refused():
    with pytest.raises(ValueError) as error:
        first_crossing([200, 100], [0.5, 0.1], 0.2)
    assert str(error.value) == (
        "`positions` must rise from 0 or more, got [200.0, 100.0]; pass the examples or steps at each evaluation."
    )


def test_curves_of_two_lengths_are_refused():
    with pytest.raises(ValueError) as error:
        first_crossing([100, 200], [0.5], 0.2)
    assert str(error.value) == (
        "`positions` and `metric` must be one-dimensional and of one length, got shapes (2,) and (1,); "
        "pass one metric an evaluation."
    )


def test_a_negative_window_is_refused():
    with pytest.raises(ValueError) as error:
        smooth_curve([100, 200], [0.5, 0.1], -1.0)
    assert str(error.value) == "`window` must be finite and not negative, got -1.0; use 0.0 for a curve as it is."


def test_a_target_that_must_be_held_is_crossed_where_it_is_held() -> None:
    found = first_crossing([0, 1, 2, 3, 4], [0.9, 0.1, 0.5, 0.1, 0.1], 0.2, held=2)
    assert (found.low, found.high, found.status) == (2.0, 3.0, "reached")


def test_a_curve_that_ends_at_the_target_has_reached_it() -> None:
    found = first_crossing([0, 1, 2], [0.9, 0.5, 0.1], 0.2, held=2)
    assert (found.low, found.high, found.status) == (1.0, 2.0, "reached")


def test_a_curve_that_diverged_has_not_held_a_target_seen_once() -> None:
    assert first_crossing([0, 1, 2, 3], [0.9, 0.5, 0.1, math.nan], 0.2, held=2).status == "diverged"
    assert first_crossing([0, 1, 2, 3], [0.9, 0.1, 0.1, math.nan], 0.2, held=2).status == "reached"


def test_a_curve_shorter_than_the_evaluations_asked_for_is_read() -> None:
    assert first_crossing([0], [0.9], 0.2, held=2).status == "not_reached"


GRID = 1000 * 2.0 ** (numpy.arange(20) / 4)


@given(st.floats(0.2, 2.0), st.floats(-0.2, 0.05), st.floats(1e-3, 1e3))
def test_a_smooth_curve_has_no_scatter_whatever_its_unit(power, bend, unit):
    x = numpy.log(GRID / GRID[-1])
    assert crossing_scatter(GRID, unit * numpy.exp(-power * x + bend * x**2)) < 1e-6


# 2,000 curves of slope 1 whose logarithm scatters by 0.1 beforehand: crossings scatter by 0.1 in ln(position). The mean
# of the estimates' squares has a standard error of 1.2 %; that of the slope makes it 5 % larger.
def test_noise_of_a_curve_is_that_of_its_crossing_over_the_slope():
    generator = numpy.random.default_rng(0)
    x = numpy.log(GRID)
    found = [crossing_scatter(GRID, numpy.exp(-x + 0.1 * generator.normal(size=20))) for _ in range(2000)]
    assert float(numpy.mean(numpy.square(found))) == pytest.approx(0.1**2, rel=0.1)
    flat = [crossing_scatter(GRID, numpy.exp(-0.5 * x + 0.1 * generator.normal(size=20))) for _ in range(2000)]
    assert float(numpy.mean(numpy.square(flat))) == pytest.approx(0.2**2, rel=0.25)


def test_a_curve_that_turns_back_says_next_to_nothing_and_a_short_one_nothing():
    falling_then_back = numpy.exp([*([0.0] * 11), *(-0.1 * numpy.arange(8)), 0.05])
    assert crossing_scatter(GRID, falling_then_back) == 1.0
    assert crossing_scatter(GRID[:5], GRID[:5]) == 0.0
    assert crossing_scatter([], []) == 0.0 and crossing_scatter([0], [1.0]) == 0.0
    # The untrained model is left out, and where the metric is not positive it is taken as it is.
    assert crossing_scatter([0, *GRID], [1e9, *(-numpy.log(GRID))]) < 1e-6


def test_an_accuracy_that_rises_scatters_as_an_error_that_falls():
    noise = 0.01 * numpy.random.default_rng(1).normal(size=20)
    error = 1 + 0.1 * numpy.log(GRID) + noise
    assert 0.05 < crossing_scatter(GRID, error) < 0.3
