import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.time_to_target import (
    StepTime,
    best_accumulation_steps,
    best_time_batch_size,
    fastest_batch_size,
    relative_time,
)

times = st.builds(StepTime, st.floats(0.0, 1.0), st.floats(1e-5, 0.1), st.one_of(st.just(0.0), st.floats(0.0, 5.0)))
criticals = st.floats(0.0, 1e5)


def seconds(batch_size, critical, time):
    return (1 + critical / batch_size) * max(time.floor_s, time.overhead_s + time.per_example_s * batch_size)


def test_known_answers():
    assert best_time_batch_size(300, 0.02, 0.0005) == pytest.approx(109.545, abs=1e-3)
    assert relative_time(109.545, 300, StepTime(0.02, 0.0005)) == pytest.approx(0.279545, abs=1e-6)
    assert best_time_batch_size(300, 0.02, 0.0005, 0.1) == pytest.approx(160)


@given(criticals, times, st.floats(1, 1e6))
def test_no_batch_size_is_faster(critical, time, largest):
    best = fastest_batch_size(critical, time, largest=largest)
    sizes = numpy.geomspace(1, largest, 200)
    assert best.time == pytest.approx(seconds(best.batch_size, critical, time))
    assert min(seconds(size, critical, time) for size in sizes) >= best.time * (1 - 1e-9)


@given(criticals, times, st.floats(1, 1e6), st.floats(0.01, 1.0))
def test_the_range_is_where_time_exceeds_the_least_by_the_tolerance(critical, time, largest, tolerance):
    best = fastest_batch_size(critical, time, largest=largest, tolerance=tolerance)
    assert 1 <= best.low <= best.batch_size <= best.high <= largest
    for limit, end, beyond in ((best.low, 1.0, 0.999), (best.high, largest, 1.001)):
        cost = seconds(limit, critical, time) / best.time - 1
        assert cost <= tolerance + 1e-6
        if limit != end:
            assert seconds(limit * beyond, critical, time) / best.time - 1 >= tolerance - 1e-6


def test_a_factor_two_from_a_smooth_optimum_costs_an_eighth_at_most():
    best = fastest_batch_size(100, StepTime(1.0, 0.01))
    assert (best.half_cost, best.double_cost) == pytest.approx((0.125, 0.125))
    assert best.kind == "smooth"


@given(st.floats(1.0, 1e5), st.floats(1e-3, 1.0), st.floats(1e-5, 0.1))
def test_five_percent_reach_at_least_from_two_thirds_to_three_halves(critical, overhead, per_example):
    best = fastest_batch_size(critical, StepTime(overhead, per_example))
    if best.kind == "smooth":
        assert best.low <= max(1.0, 0.642 * best.batch_size)
        assert best.high >= 1.558 * best.batch_size


@pytest.mark.parametrize(("critical", "half", "double"), [(1000.0, 0.909, None), (10.0, None, 0.909)])
def test_away_from_a_knee_a_factor_two_costs_up_to_twice_the_time(critical, half, double):
    best = fastest_batch_size(critical, StepTime(0.0, 0.001, 0.1))
    assert (best.batch_size, best.kind) == (100.0, "knee")
    if half is not None:
        assert best.half_cost == pytest.approx(half, abs=1e-3)
    if double is not None:
        assert best.double_cost == pytest.approx(double, abs=1e-3)


def test_a_cap_and_batch_size_one_are_named():
    assert fastest_batch_size(1000, StepTime(1.0, 0.01), largest=64).kind == "cap"
    assert fastest_batch_size(0.01, StepTime(1.0, 1.0)).kind == "smallest"
    assert best_time_batch_size(1000, 0.0, 1.0) == 0.0


def test_where_examples_cost_nothing_the_cap_is_best():
    assert best_time_batch_size(1000, 1.0, 0.0) == math.inf
    best = fastest_batch_size(1000, StepTime(1.0, 0.0), largest=64)
    assert (best.batch_size, best.kind) == (64, "cap")
    assert best.low == pytest.approx(1000 / (1.05 * (1 + 1000 / 64) - 1))


@given(st.floats(0, 1e4), st.integers(1, 64), st.floats(1e-3, 10), st.floats(0, 10), st.integers(1, 8))
def test_no_number_of_micro_batches_is_faster(critical, micro, micro_step, cost, workers):
    best = best_accumulation_steps(critical, micro, micro_step, cost, workers)

    def time(count):
        return (1 + critical / (workers * micro * count)) * (count * micro_step + cost)

    assert all(time(best) <= time(count) * (1 + 1e-12) for count in {1, 2, 3, max(best - 1, 1), best + 1, 2 * best})


def test_accumulation_pays_only_for_a_large_cost_a_step():
    assert [best_accumulation_steps(400, 8, 1.0, cost) for cost in (0.02, 0.05, 0.2, 1.0)] == [1, 2, 3, 7]
    assert best_accumulation_steps(400, 8, 1.0, 0.0) == 1


def test_steps_that_take_no_time_are_refused():
    with pytest.raises(ValueError) as error:
        best_time_batch_size(100, 0.0, 0.0)
    assert str(error.value) == (
        "The critical batch size and the seconds must be finite and not negative, and a step must take time, "
        "got 100 and (0.0, 0.0, 0.0); fit the step times again with limits of 0."
    )


def test_a_gain_without_end_is_refused():
    with pytest.raises(ValueError) as error:
        fastest_batch_size(100, StepTime(1.0, 0.0))
    assert str(error.value) == (
        "Time per example must be above 0 or `largest` finite, got 0.0 and inf: larger is faster without end; "
        "pass the largest batch size that fits."
    )


def test_a_cap_below_one_is_refused():
    with pytest.raises(ValueError) as error:
        fastest_batch_size(100, StepTime(1.0, 0.1), largest=0.5)
    assert str(error.value) == (
        "`largest` must be 1 or more and `tolerance` finite and not negative, got 0.5 and 0.05; "
        "use the largest batch size that fits and 0.05 for 5 %."
    )


def test_a_micro_step_without_time_is_refused():
    with pytest.raises(ValueError) as error:
        best_accumulation_steps(400, 8, 0.0, 1.0)
    assert str(error.value) == (
        "Sizes and seconds must be positive (the critical batch size and the cost of a step may be 0), "
        "got 400, 8, 0.0, 1.0 and 1; measure them."
    )
