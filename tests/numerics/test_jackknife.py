import math

import numpy
import pytest

from batchlab.numerics.intervals import t_interval
from batchlab.numerics.jackknife import jackknife_interval


def test_jackknife_of_a_mean_is_the_t_interval():
    values = numpy.random.default_rng(0).normal(size=9)
    found = jackknife_interval(values.mean(), (values.sum() - values) / 8, level=0.9)
    expected = t_interval(values.tolist(), level=0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("without_one", [[1.0, 2.0], [1.0, 2.0, math.nan]])
def test_too_few_units_or_an_undefined_one_leave_no_interval(without_one):
    found = jackknife_interval(1.5, without_one)
    assert (found.mean, found.low, found.high) == (1.5, None, None)
