import math

import numpy
import pytest

from batchlab.numerics.step_counts import step_counts


def test_exact_counts_have_equal_limits():
    counts = step_counts([8, 16], [100, 50])
    assert counts.low.tolist() == counts.high.tolist() == pytest.approx([math.log(100), math.log(50)])
    assert counts.informative.all()


def test_censored_counts_have_no_upper_limit():
    counts = step_counts([8, 16, 32], [100, 50, 25], [True, False, False])
    assert counts.high[0] == math.inf
    assert counts.sizes.tolist() == [16, 32]


def test_pairs_are_limits_and_a_lower_limit_of_zero_is_none():
    counts = step_counts([8, 16, 16, 32], [[90, 100], [0, 50], [40, math.inf], [30, 30]])
    assert counts.low.tolist() == pytest.approx([math.log(90), -math.inf, math.log(40), math.log(30)])
    assert counts.informative.tolist() == [True, False, False, True]


def test_a_censored_pair_is_censored_at_its_lower_limit():
    counts = step_counts([8, 16, 32], [[90, 100], [50, 60], [30, 40]], [True, False, False])
    assert (counts.low[0], counts.high[0]) == (math.log(90), math.inf)


def test_arrays_that_do_not_match_are_refused():
    with pytest.raises(ValueError) as error:
        step_counts([8, 16], [100, 50, 25])
    assert str(error.value) == (
        "`steps` must have one value or one pair [low, high] a batch size and `censored` one value, "
        "got shapes (2,), (3,) and (3,); pass one entry a run."
    )


@pytest.mark.parametrize("steps", [numpy.nan, math.inf, -1.0, 0.0])
def test_steps_that_are_none_are_refused(steps):
    with pytest.raises(ValueError) as error:
        step_counts([8, 16], [100, steps])
    assert str(error.value) == (
        "Batch sizes must be above 0 and limits of steps must satisfy 0 <= low <= high with a finite low, "
        f"got batch size 16 with {steps:g} and {steps:g}; leave out runs that diverged."
    )


def test_one_batch_size_shows_no_trade_off():
    with pytest.raises(ValueError) as error:
        step_counts([8, 8, 16], [100, 110, 50], [False, False, True])
    assert str(error.value) == (
        "The trade-off needs runs that reached the target at 2 or more batch sizes, got them at 1; "
        "choose an easier target or a longer budget."
    )
