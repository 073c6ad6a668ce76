import os

from hypothesis import given
from hypothesis import strategies as st

from spread import busy_cores, spread


@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_the_median_lies_within_the_range(values: list[float]) -> None:
    found = spread(values)
    assert found["low"] <= found["median"] <= found["high"]
    assert {found["low"], found["high"]} <= set(values)


def test_busy_cores_are_at_most_all_of_them() -> None:
    assert 0 <= busy_cores(0.05) <= (os.cpu_count() or 1)
