import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from batchlab.numerics.intervals import Interval, satterthwaite_df, t_interval

values = st.lists(st.floats(-100, 100), min_size=3, max_size=8)


def test_interval_is_that_of_scipys_t_distribution():
    sample = [0.91, 0.93, 0.9, 0.95, 0.92]
    low, high = stats.t.interval(0.9, 4, loc=numpy.mean(sample), scale=stats.sem(sample))
    interval = t_interval(sample, level=0.9)
    assert (interval.low, interval.high) == pytest.approx((low, high))


@pytest.mark.parametrize("sample", [[0.5], [0.5, 0.5]])
def test_fewer_than_three_values_have_a_mean_and_no_interval(sample):
    assert t_interval(sample, extra_variance=1.0) == Interval(0.5, None, None)


def test_equal_values_have_an_interval_of_no_width():
    assert t_interval([0.5] * 4) == Interval(0.5, 0.5, 0.5)


@given(values, st.floats(0.01, 100), st.floats(-50, 50))
def test_interval_moves_and_scales_with_the_values(sample, scale, shift):
    plain = t_interval(sample)
    moved = t_interval([scale * value + shift for value in sample])
    assert (moved.low, moved.high) == pytest.approx((scale * plain.low + shift, scale * plain.high + shift), abs=1e-6)


def test_extra_variance_alone_gives_the_normal_interval():
    interval = t_interval([0.0] * 3, extra_variance=4.0)
    assert interval.high == pytest.approx(2 * stats.norm.ppf(0.975), rel=1e-6)


def test_extra_variance_known_from_one_degree_of_freedom_widens_the_interval():
    sure = t_interval([1.0, 2.0, 3.0], extra_variance=1.0)
    unsure = t_interval([1.0, 2.0, 3.0], extra_variance=1.0, extra_df=1)
    assert unsure.high > sure.high


@pytest.mark.parametrize("extra", [0.0, 0.3, 3.0])
def test_interval_covers_the_mean_with_and_without_shared_noise(extra):
    # 20,000 samples of 4 beforehand: standard error .0015; a false alarm in about 1 of 1,000 runs.
    generator = numpy.random.default_rng(1)
    samples = generator.normal(size=(20_000, 4)) + math.sqrt(extra) * generator.normal(size=(20_000, 1))
    scatter = samples.var(axis=1, ddof=1) / 4
    df = numpy.array([satterthwaite_df((one, extra), (3, math.inf)) for one in scatter])
    half = stats.t.ppf(0.975, df) * numpy.sqrt(scatter + extra)
    first = t_interval(samples[0].tolist(), extra_variance=extra)
    assert first.high - first.mean == pytest.approx(half[0])
    covered = (numpy.abs(samples.mean(axis=1)) <= half).mean()
    assert covered == pytest.approx(0.95, abs=0.005 if extra != 0.3 else 0.015)


def test_degrees_of_freedom_lie_between_the_smallest_and_the_sum():
    assert satterthwaite_df((2.0, 1.0), (4, 8)) == pytest.approx(9 / (4 / 4 + 1 / 8))
    assert satterthwaite_df((1.0, 0.0), (4, 8)) == 4
    assert satterthwaite_df((0.0, 1.0), (4, math.inf)) == 1e9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"values": []},
            "`values` must be one or more finite numbers, got []; leave out the seeds that diverged.",
        ),
        (
            {"values": [1.0, math.nan]},
            "`values` must be one or more finite numbers, got [1.0, nan]; leave out the seeds that diverged.",
        ),
        (
            {"values": [1.0], "level": 95},
            "`level` must lie between 0 and 1, got 95; use 0.95 for a 95 % interval.",
        ),
        (
            {"values": [1.0], "extra_variance": -1.0},
            "`extra_variance` must be finite and not negative, got -1.0; use 0.0 where there is none.",
        ),
    ],
)
def test_errors_say_what_to_do(arguments, message):
    with pytest.raises(ValueError) as error:
        t_interval(**arguments)
    assert str(error.value) == message
