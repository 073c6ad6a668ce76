import math

import numpy
import pytest

from regret_ratio import regret


def test_a_setting_has_no_regret_of_itself() -> None:
    costs = [3.0, 5.0, 4.0]
    found = regret(costs, [9.0] * 3, costs)
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_seeds_are_paired() -> None:
    best = [1.0, 10.0, 100.0]
    found = regret([1.1 * cost for cost in best], [999.0] * 3, best)
    assert (found.low, found.high) == pytest.approx((1.1, 1.1))


def test_where_a_run_missed_the_target_the_regret_is_a_lower_bound() -> None:
    found = regret([2.0, math.inf], [8.0, 8.0], [1.0, 1.0])
    assert (found.value, found.high, found.n_reached) == (4, math.inf, 1)
    assert str(found) == "at least 4, 1 of 2 reached"


def test_a_setting_that_never_arrives_says_so() -> None:
    assert str(regret([math.inf] * 3, [6.0] * 3, [2.0] * 3)) == "not reached, at least 3"


def test_the_interval_covers_the_ratio_of_medians() -> None:
    """2000 samples of 10 pairs; 95 % ± 3 standard errors of .5 % each."""
    generator = numpy.random.default_rng(0)
    shared = generator.normal(0, 0.3, (2000, 10))
    best = numpy.exp(shared + generator.normal(0, 0.1, shared.shape))
    mine = 1.2 * numpy.exp(shared + generator.normal(0, 0.1, shared.shape))
    found = [regret(*pair) for pair in zip(mine.tolist(), mine.tolist(), best.tolist(), strict=True)]
    assert sum(one.low <= 1.2 <= one.high for one in found) / len(found) == pytest.approx(0.95, abs=0.015)
