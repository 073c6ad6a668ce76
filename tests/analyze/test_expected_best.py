import itertools
import statistics

import pytest

from batchlab.analyze.curves import expected_best
from batchlab.analyze.findings import ResponsePoint


def points(batch_size: int, values: list[float | None]) -> list[ResponsePoint]:
    """Return one point a learning rate; None is one at which every seed diverged."""
    return [
        ResponsePoint(batch_size, 0.1 * 2**place, value, value, 2, 2 if value is None else 0)
        for place, value in enumerate(values)
    ]


@pytest.mark.parametrize(("higher_is_better", "pick"), [(True, max), (False, min)])
def test_the_best_of_n_is_the_mean_over_all_ways_to_pick_them(higher_is_better: bool, pick) -> None:
    values = [0.3, 0.1, 0.25, 0.5]
    (found,) = expected_best(points(8, values), 0.9, higher_is_better=higher_is_better)
    oracle = [statistics.fmean(map(pick, itertools.combinations(values, n))) for n in (1, 2, 3, 4)]
    assert (found.batch_size, found.n_rates) == (8, (1, 2, 3, 4))
    assert found.valid_metric == pytest.approx(oracle)


def test_batch_sizes_are_compared_at_as_many_rates_as_all_have() -> None:
    found = expected_best([*points(8, [0.3, 0.2, 0.1]), *points(64, [0.3, 0.2])], 0.9, higher_is_better=False)
    assert [one.n_rates for one in found] == [(1, 2), (1, 2)]


def test_a_rate_that_diverged_counts_as_a_constant_guess() -> None:
    (found,) = expected_best(points(8, [0.1, None]), 0.9, higher_is_better=False)
    assert found.valid_metric == pytest.approx((0.5, 0.1))


def test_without_a_search_there_is_nothing_to_expect() -> None:
    assert expected_best([], 0.9, higher_is_better=False) == ()
