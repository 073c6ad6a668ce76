import itertools
import math

import numpy
from hypothesis import given
from hypothesis import strategies as st

from batchlab.simulate.crossing import first_step_below, first_step_in_chunks

curves = st.lists(st.integers(0, 20), min_size=1, max_size=60)


def scan(curve, target, most_steps):
    return next((step for step, value in enumerate(curve[: most_steps + 1]) if value <= target), None)


@given(curves, st.integers(0, 20), st.integers(0, 80))
def test_any_curve_is_searched_as_exactly_as_by_a_scan(curve, target, most_steps):
    def lower_bound(first, last):
        return min(curve[first : None if math.isinf(last) else last + 1], default=math.inf)

    assert first_step_below(lower_bound, target, most_steps) == scan(curve, target, most_steps)


def test_a_falling_curve_takes_few_looks():
    looks = []

    def lower_bound(first, last):
        looks.append(last)
        return 1 / (last + 1)

    assert first_step_below(lower_bound, 1e-5, 10**9) == 99_999
    assert len(looks) < 80


@given(curves, st.integers(0, 20), st.integers(0, 80), st.integers(1, 7))
def test_chunks_are_searched_as_exactly_as_by_a_scan(curve, target, most_steps, length):
    chunks = [(numpy.array(curve[at : at + length], float), 0.0) for at in range(0, len(curve), length)]
    assert first_step_in_chunks(chunks, target, most_steps) == scan(curve, target, most_steps)


def test_chunks_end_at_a_floor_above_the_target():
    chunks = ((numpy.full(4, 9.0), float(floor)) for floor in itertools.count())
    assert first_step_in_chunks(chunks, 2.0, 10**9) is None


def test_chunks_end_where_the_curve_overflows():
    chunks = iter([(numpy.array([9.0, math.inf]), 0.0), (numpy.array([1.0]), 0.0)])
    assert first_step_in_chunks(chunks, 2.0, 10**9) is None
