import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.rate_excess import cautious_offset, rate_excess

rights, taus = st.floats(0.3, 10.0), st.floats(0.3, 3.0)


@given(rights, taus)
def test_the_best_rate_costs_nothing_and_every_other_more(right: float, tau: float) -> None:
    value = rate_excess(numpy.linspace(-4, 4, 81), right, tau).value
    assert value[40] == pytest.approx(0, abs=1e-12)
    assert (numpy.delete(value, 40) > 0).all()


@given(rights, taus)
def test_far_below_the_best_half_the_rate_takes_twice_as_long(right: float, tau: float) -> None:
    low = -30 * tau / min(1.0, right)
    first, second = rate_excess([low, low - math.log(2)], right, tau).value
    assert second - first == pytest.approx(math.log(2), abs=1e-6)


@given(st.floats(-3, 3), rights, taus)
def test_derivatives_are_those_of_the_value(z: float, right: float, tau: float) -> None:
    step = 1e-6
    found = rate_excess(z, right, tau)
    for derivative, ends in (
        (found.by_z, [(z + step, right, tau), (z - step, right, tau)]),
        (found.by_log_right, [(z, right * math.exp(step), tau), (z, right * math.exp(-step), tau)]),
        (found.by_log_tau, [(z, right, tau * math.exp(step)), (z, right, tau * math.exp(-step))]),
    ):
        high, low = (float(rate_excess(*end).value) for end in ends)
        assert float(derivative) == pytest.approx((high - low) / (2 * step), abs=1e-6)


@given(rights, taus)
def test_the_curvature_at_the_best_rate_is_right_over_tau(right: float, tau: float) -> None:
    step = 1e-3 * tau / (1 + right)
    low, middle, high = rate_excess([-step, 0.0, step], right, tau).value
    assert (low - 2 * middle + high) / step**2 == pytest.approx(right / tau, rel=1e-2)


def test_an_unsure_best_rate_is_undercut_where_the_right_side_is_steep() -> None:
    offsets = [cautious_offset(sd, 8.0, 1.0)[0] for sd in (0.0, 0.1, 0.5)]
    assert offsets[0] == pytest.approx(0, abs=0.01)
    assert offsets[2] < offsets[1] < 0
    assert cautious_offset(0.5, 1.0, 1.0)[0] == pytest.approx(0, abs=0.03)


def test_a_wall_keeps_its_distance_and_costs() -> None:
    free, walled = (cautious_offset(0.2, 2.0, 1.0, wall) for wall in (math.inf, 0.1))
    assert walled[0] < free[0] and walled[1] > free[1]


@given(st.floats(0.02, 1.0), rights, taus)
def test_the_expected_excess_grows_with_what_is_not_known(sd: float, right: float, tau: float) -> None:
    assert 0 <= cautious_offset(sd, right, tau)[1] <= cautious_offset(2 * sd, right, tau)[1] + 1e-9
