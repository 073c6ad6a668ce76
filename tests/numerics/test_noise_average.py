import dataclasses
import json
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.noise_average import NoiseAverage, update_noise_average

steps = st.lists(st.tuples(st.floats(0, 100), st.floats(-10, 10), st.integers(1, 500)), min_size=1, max_size=20)


def averaged(updates, window=1000.0):
    average = NoiseAverage(window)
    for trace, signal, n_examples in updates:
        average = update_noise_average(average, trace, signal, n_examples)
    return average


@given(steps)
def test_average_is_the_weighted_mean_with_weights_that_fade_with_examples(updates):
    traces, signals, counts = (numpy.array(column, dtype=float) for column in zip(*updates, strict=True))
    later = counts[::-1].cumsum()[::-1] - counts
    weights = numpy.exp(-later / 1000) * (1 - numpy.exp(-counts / 1000))
    average = averaged(updates)
    assert average.trace == pytest.approx(numpy.average(traces, weights=weights), rel=1e-9, abs=1e-12)
    assert average.signal == pytest.approx(numpy.average(signals, weights=weights), rel=1e-9, abs=1e-12)
    assert average.effective_updates == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_the_correction_counts_updates_of_the_average():
    average = averaged([(40.0, 2.0, 100)] * 5)
    assert average.weight == pytest.approx(1 - math.exp(-0.1) ** 5)
    assert (average.trace, average.signal) == pytest.approx((40.0, 2.0))
    assert (average.n_updates, average.n_examples) == (5, 500)


def test_one_large_step_fades_the_past_as_many_small_ones_do():
    past = averaged([(40.0, 2.0, 100)] * 30)
    large = update_noise_average(past, 80.0, 1.0, 400)
    small = past
    for _ in range(4):
        small = update_noise_average(small, 80.0, 1.0, 100)
    assert (large.trace, large.signal) == pytest.approx((small.trace, small.signal))


def test_effective_updates_of_a_long_average_are_those_of_theory():
    kept = math.exp(-0.05)
    average = averaged([(1.0, 1.0, 50)] * 1000)
    assert average.effective_updates == pytest.approx((1 + kept) / (1 - kept))


def test_negative_signals_are_averaged_as_they_are():
    average = averaged([(40.0, -3.0, 10), (40.0, 1.0, 10)])
    assert average.signal < 0
    assert average.noise_scale is None


def test_state_survives_saving_and_restoring():
    average = averaged([(40.0, 2.0, 64), (30.0, -1.0, 32)])
    restored = NoiseAverage(**json.loads(json.dumps(dataclasses.asdict(average))))
    assert restored == average
    assert update_noise_average(restored, 1.0, 1.0, 8) == update_noise_average(average, 1.0, 1.0, 8)


def test_an_average_of_nothing_has_no_noise_scale():
    average = NoiseAverage(100)
    assert math.isnan(average.trace) and math.isnan(average.signal)
    assert (average.noise_scale, average.effective_updates) == (None, 0.0)


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ValueError) as error:
        NoiseAverage(0.0)
    assert str(error.value) == (
        "`window_examples` must be finite and above 0, got 0; use the examples of some hundred steps."
    )


def test_a_step_that_is_not_finite_is_refused():
    with pytest.raises(ValueError) as error:
        update_noise_average(NoiseAverage(100), math.nan, 1.0, 8)
    assert str(error.value) == (
        "A step must have finite moments and one or more examples, got trace nan, signal 1.0 and 8 examples; "
        "skip steps whose gradient is not finite."
    )
