import math

import numpy
import pytest

from batchlab.numerics.profile_likelihood import profile_limits, trace_profile


@pytest.mark.parametrize("sd", [0.003, 0.05, 1.0])
@pytest.mark.parametrize("middle", [-1.234, 0.0, 2.5])
def test_limits_of_a_t_like_profile_are_those_of_its_formula(sd, middle):
    def log_likelihood(x):
        return -15 * numpy.log1p(((x - middle) / sd) ** 2 / 28)

    profile = trace_profile(log_likelihood, -10.0, 10.0)
    half = sd * math.sqrt(28 * math.expm1(2.0 / 15))
    assert profile.best == pytest.approx(middle, abs=0.02 * sd)
    assert profile_limits(log_likelihood, profile, 2.0) == pytest.approx((middle - half, middle + half), abs=0.05 * sd)


def test_a_maximum_at_an_end_is_infinite():
    assert trace_profile(lambda x: x, 0.0, 1.0).best == math.inf
    assert trace_profile(lambda x: -x, 0.0, 1.0).best == -math.inf


def test_a_limit_that_is_not_reached_is_infinite():
    def log_likelihood(x):
        return -numpy.where(x < 0, x**2, 0.1 * x)

    low, high = profile_limits(log_likelihood, trace_profile(log_likelihood, -3.0, 3.0), 1.0)
    assert low == pytest.approx(-1.0, abs=1e-3)
    assert high == math.inf


def test_a_flat_profile_has_no_limits():
    profile = trace_profile(numpy.zeros_like, -1.0, 1.0)
    assert profile_limits(numpy.zeros_like, profile, 1.0) == (-math.inf, math.inf)


def test_limits_span_all_humps_that_are_high_enough():
    def log_likelihood(x):
        return -numpy.minimum((x + 3) ** 2, 0.5 + (x - 3) ** 2)

    low, high = profile_limits(log_likelihood, trace_profile(log_likelihood, -10.0, 10.0), 1.0)
    assert (low, high) == pytest.approx((-4.0, 3 + math.sqrt(0.5)), abs=1e-3)
