import dataclasses
import math

import pytest

from batchlab.adapt.noise_window import NoiseWindow, add_step, noise_scale_of, window_from
from batchlab.numerics.noise_scale import estimate_noise_scale


def filled(steps, window_examples=1e9, every=1):
    window = NoiseWindow(window_examples)
    for trace, signal in steps:
        window = add_step(window, ((trace, signal), (2 * trace, 0.5 * signal)), every, 8 * every)
    return window


STEPS = [(10.0 + k % 7, 1.0 + (k % 5) / 10) for k in range(40)]


def test_ten_steps_make_a_block():
    traces, signals = (
        [sum(step[part] for step in STEPS[k : k + 10]) / 10 for k in range(0, 40, 10)] for part in (0, 1)
    )
    expected = estimate_noise_scale(traces, signals)
    found = noise_scale_of(filled(STEPS), layer=0)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_steps_measured_far_apart_are_blocks_of_their_own():
    assert noise_scale_of(filled(STEPS, every=20)).n_blocks == 40


def test_the_model_is_the_sum_of_its_layers():
    window = filled(STEPS)
    model, layer = noise_scale_of(window), noise_scale_of(window, layer=0)
    assert model.trace.mean == pytest.approx(3 * layer.trace.mean)
    assert model.value == pytest.approx(2 * layer.value)


def test_old_blocks_leave_the_window():
    early, late = [(100.0, 1.0)] * 40, [(10.0, 1.0)] * 40
    assert noise_scale_of(filled([*early, *late], 320), layer=0).value == pytest.approx(10)
    assert noise_scale_of(filled([*early, *late], 1)).n_blocks == 3


def test_before_the_first_block_there_is_a_value_without_an_interval():
    found = noise_scale_of(filled(STEPS[:3]), layer=0)
    assert found.value == pytest.approx(33 / 3.3) and (found.low, found.high) == (0, math.inf)
    assert found.flags == ("unbounded_interval", "too_few_blocks")


def test_before_the_first_step_there_is_nothing():
    found = noise_scale_of(NoiseWindow(1.0))
    assert (found.value, found.low, found.high, found.n_blocks) == (None, 0, math.inf, 0)
    assert found.flags == ("too_few_blocks",)


@pytest.mark.parametrize("n", [0, 7, 25])
def test_a_window_survives_plain_data(n):
    window = filled(STEPS[:n])
    assert window_from(dataclasses.asdict(window)) == window
