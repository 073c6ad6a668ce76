import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.noise_scale import estimate_noise_scale, is_settled, jackknife_noise_scale
from noise_cases import MEAN, SIGNAL, TRACE, gaussian_blocks

TRACES, SIGNALS = [41.0, 39.0, 43.0, 38.0, 40.0], [2.1, 1.8, 2.0, 2.2, 1.9]
parts = st.lists(
    st.tuples(st.floats(0.1, 100), st.floats(-10, 10).map(lambda value: round(value, 3))), min_size=3, max_size=12
)


def test_value_is_the_ratio_of_means_and_no_mean_of_ratios():
    found = estimate_noise_scale([10.0, 30.0], [1.0, 3.0])
    assert found.value == 10.0
    assert estimate_noise_scale([10.0, 10.0, 10.0], [1.0, -1.0, 3.0]).value == 10.0


def test_parts_are_reported_with_their_t_intervals():
    found = estimate_noise_scale(TRACES, SIGNALS, 0.9, unit="sequence")
    assert found.trace.mean == pytest.approx(40.2)
    assert found.trace.high - found.trace.mean == pytest.approx(2.131847 * numpy.std(TRACES, ddof=1) / math.sqrt(5))
    assert found.signal.mean == pytest.approx(2.0)
    assert (found.level, found.n_blocks, found.unit, found.method, found.flags) == (0.9, 5, "sequence", "fieller", ())


def test_limits_lie_where_the_data_reject_by_students_t_of_blocks_minus_one():
    found = estimate_noise_scale(TRACES, SIGNALS)
    for limit in (found.low, found.high):
        rest = numpy.array(TRACES) - limit * numpy.array(SIGNALS)
        assert abs(rest.mean()) == pytest.approx(2.776445 * rest.std(ddof=1) / math.sqrt(5), rel=1e-6)


@given(parts, st.integers(-40, 40))
def test_noise_scale_is_invariant_to_loss_scaling(blocks, power):
    trace, signal = zip(*blocks, strict=True)
    factor = 4.0**power
    plain = estimate_noise_scale(trace, signal)
    scaled = estimate_noise_scale([factor * one for one in trace], [factor * one for one in signal])
    assert (scaled.value, scaled.low, scaled.high) == (plain.value, plain.low, plain.high)
    assert scaled.flags == plain.flags


@given(parts, st.randoms())
def test_noise_scale_does_not_depend_on_the_order_of_blocks(blocks, random):
    plain = estimate_noise_scale(*zip(*blocks, strict=True))
    random.shuffle(blocks)
    shuffled = estimate_noise_scale(*zip(*blocks, strict=True))
    if plain.low is not None and shuffled.low is not None:
        assert shuffled.low == pytest.approx(plain.low, rel=1e-6, abs=1e-9)


@given(parts)
def test_value_lies_in_its_interval_and_every_shape_has_its_flag(blocks):
    found = estimate_noise_scale(*zip(*blocks, strict=True))
    assert (found.low is None) == (found.high is None) == ("empty_interval" in found.flags)
    assert (found.high == math.inf) == ("unbounded_interval" in found.flags)
    assert (found.value is None) == ("negative_denominator" in found.flags)
    if found.value is not None:
        assert found.low <= found.value <= found.high


def test_a_weak_signal_leaves_a_lower_limit_only():
    found = estimate_noise_scale([41.0, 39.0, 43.0, 38.0], [2.1, -1.8, 2.0, -1.9])
    assert found.value == pytest.approx(402.5)
    assert 0 < found.low < found.value
    assert (found.high, found.flags) == (math.inf, ("unbounded_interval",))


def test_a_negative_signal_within_its_noise_leaves_a_lower_limit_and_no_value():
    found = estimate_noise_scale([41.0, 39.0, 43.0, 38.0], [2.1, -1.8, 2.0, -2.9])
    assert found.value is None
    assert found.low > 0
    assert (found.high, found.flags) == (math.inf, ("negative_denominator", "unbounded_interval"))


def test_a_negative_signal_beyond_its_noise_leaves_nothing():
    found = estimate_noise_scale([41.0, 39.0, 43.0, 38.0], [-2.1, -1.8, -2.0, -1.9])
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.flags == ("negative_denominator", "empty_interval")


def test_a_negative_trace_is_no_noise_scale():
    found = estimate_noise_scale([-1.0, 0.5, -0.5, 0.2], [2.1, 1.8, 2.0, 2.2])
    assert found.value is None
    assert found.low == 0.0
    assert 0 < found.high < 1
    assert found.flags == ("negative_numerator",)


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_blocks_have_a_value_and_say_nothing_of_its_error(n):
    found = estimate_noise_scale([40.0] * n, [2.0] * n)
    assert (found.value, found.low, found.high) == (20.0, 0.0, math.inf)
    assert found.flags == ("unbounded_interval", "too_few_blocks")
    assert found.trace.low is None


def test_equal_blocks_have_an_interval_of_no_width():
    found = estimate_noise_scale([0.1] * 5, [0.3] * 5)
    assert found.low == pytest.approx(1 / 3) == found.high == found.value


def test_no_noise_at_all_is_a_noise_scale_of_zero():
    found = estimate_noise_scale([0.0] * 4, [2.0] * 4)
    assert (found.value, found.low, found.high, found.flags) == (0.0, 0.0, 0.0, ())


def test_gradients_that_are_all_zero_say_nothing():
    found = estimate_noise_scale([0.0] * 4, [0.0] * 4)
    assert (found.value, found.low, found.high) == (None, 0.0, math.inf)
    assert found.flags == ("negative_denominator", "unbounded_interval")


@pytest.mark.parametrize(
    ("strength", "n_blocks", "micro_batches", "unbounded"),
    [(3.0, 10, 8, (0.0, 0.0)), (1.0, 12, 8, (0.0, 0.6)), (0.1, 12, 8, (0.85, 1.0))],
    ids=["strong", "weak", "unbounded"],
)
def test_interval_covers_the_noise_scale_whatever_the_strength_of_the_signal(
    strength, n_blocks, micro_batches, unbounded
):
    # 2,000 repetitions beforehand: standard error .005, so .92 to .98 is six of them.
    generator = numpy.random.default_rng(11)
    truth = TRACE / (strength**2 * SIGNAL)
    traces, signals = gaussian_blocks(generator, strength * MEAN, (2000, n_blocks), micro_batches, 2)
    found = [estimate_noise_scale(trace, signal) for trace, signal in zip(traces, signals, strict=True)]
    covered = numpy.mean([one.low is not None and one.low <= truth <= one.high for one in found])
    assert 0.92 <= covered <= 0.98
    share = numpy.mean([one.high == math.inf for one in found])
    assert unbounded[0] <= share <= unbounded[1]


def test_interval_at_the_stopping_rule_covers_the_noise_scale():
    # 800 repetitions beforehand: standard error .008 at .95.
    generator = numpy.random.default_rng(12)
    traces, signals = gaussian_blocks(generator, 1.5 * MEAN, (800, 60), 8, 2)
    truth, covered, stops = TRACE / (2.25 * SIGNAL), 0, []
    for trace, signal in zip(traces, signals, strict=True):
        for n in range(10, 61):
            found = estimate_noise_scale(trace[:n], signal[:n])
            if is_settled(found):
                break
        covered += found.low is not None and found.low <= truth <= found.high
        stops.append(n)
    assert 12 < numpy.mean(stops) < 50
    assert 0.92 <= covered / 800 <= 0.98


def test_measuring_stops_only_with_a_finite_interval_of_ten_blocks():
    settled = estimate_noise_scale(TRACES * 2, SIGNALS * 2)
    assert is_settled(settled)
    assert not is_settled(settled, tolerance=0.001)
    assert not is_settled(estimate_noise_scale(TRACES, SIGNALS))
    assert not is_settled(estimate_noise_scale(TRACES * 2, [1.0, -1.0] * 5))
    assert not is_settled(estimate_noise_scale(TRACES * 2, [-1.0, -1.1] * 5))
    assert not is_settled(estimate_noise_scale([0.0] * 10, SIGNALS * 2))


def test_jackknife_agrees_where_the_signal_is_strong():
    generator = numpy.random.default_rng(13)
    traces, signals = gaussian_blocks(generator, 5.0 * MEAN, (30,), 8, 4)
    fieller, jackknife = estimate_noise_scale(traces, signals), jackknife_noise_scale(traces, signals)
    assert jackknife.method == "jackknife"
    assert jackknife.value == fieller.value
    assert (jackknife.low, jackknife.high) == pytest.approx((fieller.low, fieller.high), rel=0.03)


def test_jackknife_gives_no_interval_where_one_block_carries_the_signal():
    found = jackknife_noise_scale([40.0] * 4, [5.0, -1.0, -1.0, -1.0])
    assert (found.value, found.low, found.high) == (80.0, 0.0, math.inf)
    assert found.flags == ("unbounded_interval",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([1.0, 2.0], [1.0]),
            "`trace` and `signal` must have one entry a block each, got shapes (2,) and (1,); "
            "pass the moments of one or more blocks.",
        ),
        (
            ([], []),
            "`trace` and `signal` must have one entry a block each, got shapes (0,) and (0,); "
            "pass the moments of one or more blocks.",
        ),
        (
            ([1.0, math.inf], [1.0, 1.0]),
            "`trace` and `signal` must be finite, 1 of 2 blocks are not; "
            "leave out the blocks whose gradient overflowed.",
        ),
        (([1.0], [1.0], 95), "`level` must lie between 0 and 1, got 95; use 0.95 for a 95 % interval."),
    ],
)
def test_errors_say_what_to_do(arguments, message):
    with pytest.raises(ValueError) as error:
        estimate_noise_scale(*arguments)
    assert str(error.value) == message
