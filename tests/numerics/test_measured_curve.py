import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from batchlab.numerics.measured_curve import MeasuredCurve, measured_curve, monotone_examples
from batchlab.numerics.step_counts import step_counts

points = st.lists(st.tuples(st.floats(1, 1e6), st.integers(1, 5)), min_size=1, max_size=10)


@given(points)
def test_examples_are_made_monotone_as_by_isotonic_regression(found):
    sizes = [2.0**index for index in range(len(found))]
    curve = MeasuredCurve(tuple(sizes), tuple(steps for steps, _ in found), tuple(runs for _, runs in found))
    logs = [math.log(size * steps) for size, (steps, _) in zip(sizes, found, strict=True)]
    expected = IsotonicRegression().fit_transform(range(len(logs)), logs, sample_weight=[runs for _, runs in found])
    assert [math.log(value) for value in monotone_examples(curve)] == pytest.approx(list(expected), abs=1e-6)


def test_sizes_are_measured_by_their_geometric_mean():
    curve, _ = measured_curve(step_counts([8, 8, 16], [100, 400, 50]))
    assert curve.batch_sizes == (8.0, 16.0)
    assert curve.steps == pytest.approx((200.0, 50.0))
    assert curve.n_runs == (2, 1)


def test_a_censored_run_raises_its_size_s_mean():
    curve, _ = measured_curve(
        step_counts([8, 8, 8, 16, 16], [100, 110, 120, 60, 55], [False, False, True, False, False])
    )
    assert curve.steps[0] > (100 * 110 * 120) ** (1 / 3)


def test_a_size_that_never_arrived_is_left_out():
    curve, _ = measured_curve(step_counts([4, 8, 16], [1000, 400, 50], [True, False, False]))
    assert curve.batch_sizes == (8.0, 16.0)


def test_the_overhead_is_interpolated_in_logarithms():
    curve = MeasuredCurve((8.0, 16.0, 32.0), (100.0, 50.0, 100.0), (1, 1, 1))
    assert curve.overhead_batch_size(3.0) == pytest.approx(32.0)
    assert curve.overhead_batch_size(1.0) == pytest.approx(16 * math.sqrt(2))


def test_an_overhead_no_size_reaches_is_beyond_them():
    assert MeasuredCurve((8.0, 16.0), (100.0, 50.0), (1, 1)).overhead_batch_size(0.2) == math.inf
