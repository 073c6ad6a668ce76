import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchlab.numerics.step_time import expected_seconds, fit_step_time, step_time_draws

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)


def clock(sizes=SIZES, a=4.0, b=0.05, t0=10.0):
    return numpy.maximum(t0, a + b * numpy.array(sizes, dtype=float))


def test_the_known_clock_is_recovered():
    model = fit_step_time(SIZES, clock())
    assert (model.a, model.b, model.t0, model.knee) == pytest.approx((4, 0.05, 10, 120), rel=1e-9)
    assert model.flags == ()
    assert max(map(abs, model.residuals)) < 1e-12
    assert model.seconds(200) == pytest.approx(14)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 10), st.floats(1e-3, 1), st.integers(2, 6), st.permutations(range(8)))
def test_any_clock_with_two_sizes_on_each_side_of_its_knee_is_recovered(a, b, at, order):
    knee = math.sqrt(SIZES[at - 1] * SIZES[at])
    times = clock(SIZES, a, b, a + b * knee)
    model = fit_step_time([SIZES[i] for i in order], [times[i] for i in order])
    assert [model.seconds(size) for size in SIZES] == pytest.approx(list(times), rel=1e-9)
    assert model.knee == pytest.approx(knee, rel=1e-6)


@pytest.mark.parametrize(("a", "b", "t0", "knee"), [(0.0, 0.05, 0.0, 0.0), (0.0, 0.05, 10.0, 200.0), (4, 0.05, 0, 0)])
def test_no_overhead_and_no_knee_are_seen(a, b, t0, knee):
    model = fit_step_time(SIZES, clock(SIZES, a, b, t0))
    assert (model.a, model.b, model.t0, model.knee) == pytest.approx((a, b, t0, knee))


def test_steps_that_cost_the_same_at_every_size_have_no_slope_and_say_so():
    model = fit_step_time(SIZES, [3.0] * len(SIZES))
    assert (model.a, model.b, model.knee, model.flags) == (3.0, 0.0, math.inf, ("edge_of_range",))


def test_a_slope_within_the_noise_is_flagged():
    # 100 tables of 1 % noise and no slope; fixed beforehand: at least 80 flagged.
    generator = numpy.random.default_rng(0)
    flagged = [fit_step_time(SIZES, 1 + 0.01 * generator.standard_normal(8)).flags for _ in range(100)]
    assert sum("edge_of_range" in flags for flags in flagged) >= 80


def test_noise_of_one_percent_moves_knee_and_slope_by_a_few_percent():
    # 100 tables; fixed beforehand: 95 of them within 6 % of the knee and 5 % of the slope.
    generator = numpy.random.default_rng(0)
    models = [fit_step_time(SIZES, clock() * (1 + 0.01 * generator.standard_normal(8))) for _ in range(100)]
    assert sum(abs(model.knee / 120 - 1) < 0.06 for model in models) >= 95
    assert sum(abs(model.b / 0.05 - 1) < 0.05 for model in models) >= 95


def test_noise_alone_seldom_grows_a_knee_and_never_a_large_one():
    generator = numpy.random.default_rng(0)
    models = [fit_step_time(SIZES, clock(t0=0) * (1 + 0.01 * generator.standard_normal(8))) for _ in range(100)]
    assert sum(model.knee > 0 for model in models) <= 25
    assert max(model.knee for model in models) < 16


def test_no_other_parameters_have_a_smaller_error():
    times = clock() * (1 + 0.03 * numpy.random.default_rng(3).standard_normal(8))
    model = fit_step_time(SIZES, times)

    a, b, t0 = numpy.meshgrid(numpy.linspace(0, 8, 41), numpy.linspace(0.03, 0.07, 41), numpy.linspace(8, 12, 41))
    others = sum(abs(numpy.maximum(t0, a + b * size) / time - 1) for size, time in zip(SIZES, times, strict=True)).min()
    assert sum(map(abs, model.residuals)) <= others


@pytest.mark.parametrize("factor", [0.001, 7.0])
def test_seconds_and_milliseconds_give_the_same_knee(factor):
    times = clock() * (1 + 0.01 * numpy.random.default_rng(1).standard_normal(8))
    one, other = fit_step_time(SIZES, times), fit_step_time(SIZES, times * factor)
    assert other.knee == pytest.approx(one.knee)
    assert other.b == pytest.approx(one.b * factor)


def test_the_table_is_preferred_where_the_model_is_off():
    times = clock()
    times[4] *= 1.5  # a slow size, as of a tile that is just not full
    model = fit_step_time(SIZES, times)
    assert model.flags == ("model_differs",)
    assert expected_seconds(model, 128) == pytest.approx(15.6)
    assert expected_seconds(model, 96) == pytest.approx((10 + 15.6) / 2)
    assert expected_seconds(model, 512) == model.seconds(512)


def test_beyond_the_table_the_model_goes_on_where_the_table_ends():
    times = clock()
    times[-1] *= 2
    model = fit_step_time(SIZES, times)
    assert expected_seconds(model, 2048) == pytest.approx(2 * model.seconds(2048))
    assert expected_seconds(model, 4) == model.seconds(4)


def test_draws_spread_as_the_blocks_do():
    generator = numpy.random.default_rng(0)
    blocks = [time * (1 + 0.02 * generator.standard_normal(7)) for time in clock()]
    knees = [model.knee for model in step_time_draws(SIZES, blocks, n_draws=100)]
    low, high = numpy.quantile(knees, [0.025, 0.975])
    assert 100 < low < 120 < high < 140
    assert step_time_draws(SIZES, [[time] * 3 for time in clock()], n_draws=2)[0].knee == pytest.approx(120)


@pytest.mark.parametrize(("sizes", "times"), [([8.0], [1.0]), ([8.0, 8.0], [1.0, 2.0]), ([8.0, 16.0], [1.0, 0.0])])
def test_what_no_line_goes_through_is_refused(sizes, times):
    with pytest.raises(ValueError) as error:
        fit_step_time(sizes, times)
    assert str(error.value) == (
        "A step time is fitted to two or more different batch sizes with one positive number of seconds each, got "
        f"{sizes} and {times}; measure more batch sizes, and take the median over blocks."
    )
