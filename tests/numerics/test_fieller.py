import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.fieller import fieller_limits


def accepted(ratio, x, y, covariance, point):
    """Return whether x - ratio y is within `point` of its standard deviations."""
    c_xx, c_xy, c_yy = covariance
    return (x - ratio * y) ** 2 <= point**2 * (c_xx - 2 * ratio * c_xy + ratio**2 * c_yy)


@st.composite
def problems(draw):
    x, y = round(draw(st.floats(0.0, 10.0)), 3), round(draw(st.floats(-10.0, 10.0)), 3)
    sd_x, sd_y, rho = draw(st.floats(0.01, 5.0)), draw(st.floats(0.01, 5.0)), draw(st.floats(-0.95, 0.95))
    return x, y, (sd_x**2, rho * sd_x * sd_y, sd_y**2), draw(st.floats(1.5, 5.0))


@given(problems())
def test_limits_enclose_exactly_the_ratios_that_the_data_do_not_reject(problem):
    x, y, covariance, point = problem
    ratios = numpy.concatenate([[0.0], numpy.geomspace(1e-6, 1e8, 3000)])
    inside = ratios[accepted(ratios, x, y, covariance, point)]
    limits = fieller_limits(x, y, covariance, point=point)
    if limits is None:
        assert inside.size == 0
        return
    low, high = limits
    if inside.size:
        assert low <= inside[0] * (1 + 1e-6) and inside[-1] <= high * (1 + 1e-6)
    # Just outside nothing is accepted, and the ends themselves lie on the border.
    assert low == 0 or not accepted(low * (1 - 1e-4), x, y, covariance, point)
    assert math.isinf(high) or not accepted(high * (1 + 1e-4), x, y, covariance, point)


@given(problems())
def test_limits_are_those_of_the_printed_form_where_the_denominator_is_resolved(problem):
    x, y, (c_xx, c_xy, c_yy), t = problem
    g = t**2 * c_yy / y**2 if y else math.inf
    if not (y > 0 and g < 0.9 and x**2 > 1.1 * t**2 * c_xx):
        return
    r = x / y
    root = math.sqrt(c_xx - 2 * r * c_xy + r**2 * c_yy - g * (c_xx - c_xy**2 / c_yy))
    printed = [(r - g * c_xy / c_yy + sign * t / abs(y) * root) / (1 - g) for sign in (-1, 1)]
    assert fieller_limits(x, y, (c_xx, c_xy, c_yy), point=t) == pytest.approx(printed, rel=1e-6)


@given(problems(), st.integers(-150, 150), st.integers(-150, 150))
def test_limits_scale_with_the_units_of_both_parts(problem, power_x, power_y):
    x, y, (c_xx, c_xy, c_yy), point = problem
    plain = fieller_limits(x, y, (c_xx, c_xy, c_yy), point=point)
    u, v = 2.0**power_x, 2.0**power_y
    scaled = fieller_limits(u * x, v * y, (u * u * c_xx, u * v * c_xy, v * v * c_yy), point=point)
    assert scaled == (pytest.approx([limit * u / v for limit in plain], rel=1e-9) if plain else None)


def test_low_limit_is_continuous_where_the_high_one_becomes_infinite():
    bounded = fieller_limits(10.0, 2.0 + 1e-9, (1.0, 0.0, 1.0), point=2.0)
    unbounded = fieller_limits(10.0, 2.0 - 1e-9, (1.0, 0.0, 1.0), point=2.0)
    assert bounded[0] == pytest.approx(unbounded[0], rel=1e-8)
    assert 1e6 < bounded[1] < math.inf == unbounded[1]


def test_a_significantly_negative_denominator_leaves_nothing():
    assert fieller_limits(10.0, -5.0, (1.0, 0.0, 1.0), point=2.0) is None


def test_an_unresolved_numerator_reaches_down_to_zero():
    low, high = fieller_limits(1.0, 10.0, (1.0, 0.0, 1.0), point=2.0)
    assert low == 0.0
    assert 0.1 < high < math.inf


def test_two_unresolved_parts_say_nothing():
    assert fieller_limits(1.0, 1.0, (1.0, 0.0, 1.0), point=2.0) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("x", "y", "limits"),
    [(6.0, 2.0, (3.0, 3.0)), (0.0, 2.0, (0.0, 0.0)), (6.0, 0.0, (math.inf, math.inf)), (0.0, 0.0, (0.0, math.inf))],
)
def test_means_without_noise_have_an_interval_of_no_width(x, y, limits):
    assert fieller_limits(x, y, (0.0, 0.0, 0.0), point=2.0) == limits
