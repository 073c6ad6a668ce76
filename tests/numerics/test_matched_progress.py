import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.numerics.matched_progress import matched_progress

EXAMPLES = numpy.array([0.0, *numpy.geomspace(10, 10_000, 40)])


def falling(examples: numpy.ndarray) -> numpy.ndarray:
    return 0.9 * (1 + examples / 100) ** -0.7


@given(st.floats(1.0, 20.0))
def test_a_curve_stretched_in_time_is_behind_by_the_stretch_at_the_same_pace(stretch: float) -> None:
    found = matched_progress(EXAMPLES, falling(EXAMPLES / stretch), EXAMPLES, falling(EXAMPLES))
    assert found is not None
    assert found.log_examples - found.log_matched == pytest.approx(math.log(stretch), abs=0.02)
    assert found.pace == pytest.approx(1, abs=0.1)


def test_a_curve_that_levels_off_falls_back() -> None:
    found = matched_progress(EXAMPLES, numpy.maximum(falling(EXAMPLES), 0.2), EXAMPLES, falling(EXAMPLES))
    assert found is not None and found.pace == pytest.approx(0, abs=0.05)


def test_a_metric_that_rises_is_matched_alike() -> None:
    slow, fast = falling(EXAMPLES / 3), falling(EXAMPLES)
    plain = matched_progress(EXAMPLES, slow, EXAMPLES, fast)
    assert matched_progress(EXAMPLES, 1 - slow, EXAMPLES, 1 - fast, higher_is_better=True) == pytest.approx(plain)


def test_the_best_value_so_far_counts() -> None:
    slow = falling(EXAMPLES / 2)
    bumpy = slow.copy()
    bumpy[-2] = 0.9
    found = [matched_progress(EXAMPLES, curve, EXAMPLES, falling(EXAMPLES)) for curve in (slow, bumpy)]
    assert found[0] is not None and found[1] is not None
    assert found[0].log_matched == found[1].log_matched


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ([0.9, 0.8, 0.1], [0.9, 0.8, 0.5]),
        ([0.9, math.nan, math.nan], [0.9, 0.8, 0.5]),
        ([0.9, 0.9, 0.9], [0.9, 0.8, 0.5]),
        ([0.9, 0.7, 0.6], [0.9, 0.5, 0.5]),
    ],
)
def test_curves_without_common_values_have_no_progress(metric: list[float], reference: list[float]) -> None:
    assert matched_progress([0, 10, 20], metric, [0, 10, 20], reference) is None
