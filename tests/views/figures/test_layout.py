import math

from hypothesis import given
from hypothesis import strategies as st

from batchlab.views.figures.layout import log_ticks, value_axis

POSITIVE = st.floats(1e-6, 1e6)


@given(POSITIVE, st.floats(1.5, 1e5))
def test_log_ticks_lie_within_the_range_and_are_few(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert all(low / 1.001 <= value <= low * ratio * 1.001 for value in ticks["tickvals"])
    assert len(ticks["tickvals"]) <= 12


@given(POSITIVE, st.floats(3.0, 1e5))
def test_a_log_axis_over_a_factor_of_three_has_a_tick(low, ratio):
    assert log_ticks(low, low * ratio)["ticktext"]


@given(st.lists(POSITIVE, min_size=1, max_size=20), st.booleans())
def test_a_value_axis_holds_every_value(values, log_scale):
    bottom, top = value_axis("Loss", values, unit="", log_scale=log_scale)["range"]
    drawn = [math.log10(value) if log_scale else value for value in values]
    assert bottom < top
    assert bottom <= min(drawn) and max(drawn) <= top
