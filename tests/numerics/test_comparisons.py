import itertools
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from batchlab.numerics.comparisons import (
    compare_to_best,
    dunnett_point,
    equal_means_p_value,
    expected_best_of,
    holm,
    indifference_set,
    outcome_of,
    seeds_to_settle,
)

SIZES = tuple(8 * 2**place for place in range(8))


def drawn(generator, n_seeds, sds=1.0, means=0.0, extra=None):
    """Return scores of 8 sizes with large seed effects, and shared noise of variance `extra` in each size."""
    table = generator.normal(size=(8, n_seeds)) * numpy.broadcast_to(sds, 8)[:, None]
    table = table + numpy.broadcast_to(means, 8)[:, None] + generator.normal(0, 3, n_seeds)
    if extra is not None:
        table = table + numpy.sqrt([extra.get(size, 0.0) for size in SIZES])[:, None] * generator.normal(size=(8, 1))
    return dict(zip(SIZES, table, strict=True))


def kept_shares(repetitions, seed, n_seeds=5, extra=None, **kind):
    generator = numpy.random.default_rng(seed)
    kept = numpy.zeros(8)
    for _ in range(repetitions):
        found = indifference_set(drawn(generator, n_seeds, extra=extra, **kind), extra_variance=extra)
        kept += [size in found for size in SIZES]
    return kept / repetitions


def test_each_of_eight_equal_sizes_is_kept_at_the_level():
    # 500 repetitions of 8 sizes beforehand: standard error about .005; a false alarm in 1 of 500 runs.
    assert kept_shares(500, seed=1).mean() == pytest.approx(0.955, abs=0.015)


def test_with_five_clearly_worse_sizes_the_best_three_are_kept_more_often():
    # 500 repetitions of 3 sizes beforehand: standard error about .004; a false alarm in 1 of 200 runs.
    shares = kept_shares(500, seed=2, means=[0, 0, 0, -5, -5, -5, -5, -5])
    assert shares[:3].mean() == pytest.approx(0.98, abs=0.011)
    assert shares[3:].max() < 0.01


def test_a_best_size_three_times_noisier_is_kept_at_the_level():
    # 1,000 repetitions beforehand: standard error .007; a kept share of .95 fails in 1 of 1,000 runs.
    shares = kept_shares(1_000, seed=3, sds=[3, 1, 1, 1, 1, 1, 1, 1])
    assert shares[0] > 0.95 - 0.021
    assert shares[1:].min() > 0.95 - 0.021


@pytest.mark.parametrize("extra", [dict.fromkeys(SIZES, 0.2), {8: 2.0, 32: 0.1, 64: 0.5}])
def test_sizes_whose_seeds_share_noise_are_kept_at_the_level(extra):
    # 500 repetitions beforehand: standard error .01 for one size, .004 for the mean of all.
    shares = kept_shares(500, seed=4, extra=extra)
    assert shares.mean() > 0.95 - 0.012
    assert shares.min() > 0.95 - 0.035


def test_with_one_variance_the_rule_is_a_distance_from_the_best_mean():
    generator = numpy.random.default_rng(6)
    for _ in range(20):
        table = generator.normal(size=(2, 6)) + numpy.array([[0.0], [0.6]])
        scores = {8: table[0], 16: table[1]}
        beaten = stats.ttest_rel(table[1], table[0], alternative="greater").pvalue < 0.05
        other = stats.ttest_rel(table[0], table[1], alternative="greater").pvalue < 0.05
        assert indifference_set(scores) == tuple(size for size, lost in ((8, beaten), (16, other)) if not lost)


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_set_of_a_metric_and_of_its_negative_are_the_same(seed):
    scores = drawn(numpy.random.default_rng(seed), 4, means=numpy.arange(8) / 2)
    negated = {size: -values for size, values in scores.items()}
    assert indifference_set(scores) == indifference_set(negated, higher_is_better=False)


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_best_mean_is_always_kept(seed):
    scores = drawn(numpy.random.default_rng(seed), 3, sds=numpy.geomspace(0.1, 5, 8))
    assert max(scores, key=lambda size: scores[size].mean()) in indifference_set(scores)


def test_extra_variance_keeps_sizes_that_seeds_alone_would_drop():
    scores = {8: [0.90, 0.91, 0.92], 16: [0.91, 0.90, 0.93], 32: [0.60, 0.62, 0.61]}
    assert indifference_set(scores) == (8, 16)
    assert indifference_set(scores, extra_variance={32: 0.1}) == (8, 16, 32)


@pytest.mark.parametrize("scores", [{8: [1.0, 2.0]}, {8: [1.0], 16: [9.0]}])
def test_with_one_size_or_one_seed_all_are_kept(scores):
    assert indifference_set(scores) == tuple(scores)


def test_scores_without_scatter_are_told_apart_exactly():
    assert indifference_set({8: [1.0, 2.0], 16: [1.5, 2.5], 32: [1.5, 2.5]}) == (16, 32)


def plain_p_value(table):
    """Return the p-value from sums of squares of nested least-squares fits."""
    k, n = table.shape
    within = table - table.mean(axis=0)
    seed_only = (within**2).sum()
    residual = ((within - within.mean(axis=1, keepdims=True)) ** 2).sum()
    df = (k - 1) * (n - 1)
    return stats.f.sf((seed_only - residual) / (k - 1) / (residual / df), k - 1, df)


@given(st.integers(0, 1000))
def test_p_value_without_extra_variance_is_that_of_the_two_way_table(seed):
    table = numpy.random.default_rng(seed).normal(size=(4, 5))
    assert equal_means_p_value(dict(enumerate(table))) == pytest.approx(plain_p_value(table))


@pytest.mark.parametrize(
    "extra", [None, dict.fromkeys(SIZES, 0.2), dict.fromkeys(SIZES, 5.0), {8: 2.0, 32: 0.1, 64: 0.5}]
)
def test_equal_means_are_rejected_in_five_percent(extra):
    # 1,500 repetitions beforehand: standard error .0056; a false alarm in 1 of 1,000 runs. Box's match is a little low.
    generator = numpy.random.default_rng(7)
    p_values = [equal_means_p_value(drawn(generator, 5, extra=extra), extra_variance=extra) for _ in range(1_500)]
    assert (numpy.array(p_values) < 0.05).mean() == pytest.approx(0.05, abs=0.019)


def test_p_values_ignoring_shared_noise_would_be_wrong():
    generator = numpy.random.default_rng(8)
    extra = dict.fromkeys(SIZES, 0.5)
    p_values = [equal_means_p_value(drawn(generator, 5, extra=extra)) for _ in range(200)]
    assert (numpy.array(p_values) < 0.05).mean() > 0.3


def test_p_value_is_nan_where_there_is_no_test():
    assert math.isnan(equal_means_p_value({8: [1.0, 2.0]}))
    assert math.isnan(equal_means_p_value({8: [1.0], 16: [2.0]}))


def test_p_value_without_scatter_is_zero_or_one():
    assert equal_means_p_value({8: [1.0, 2.0], 16: [1.0, 2.0]}) == 1.0
    assert equal_means_p_value({8: [1.0, 2.0], 16: [2.0, 3.0]}) == 0.0


def test_interval_of_two_sizes_is_the_paired_t_interval():
    first, second = [0.90, 0.92, 0.91, 0.95], [0.91, 0.94, 0.93, 0.955]
    found = compare_to_best({8: first, 16: second}, margin=0.005)[8]
    expected = stats.ttest_rel(first, second).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_best_size_is_equivalent_to_itself():
    found = compare_to_best({8: [0.9, 0.8], 16: [0.7, 0.8]}, margin=0.005)[8]
    assert (found.difference, found.low, found.high, found.outcome) == (0.0, 0.0, 0.0, "equivalent")


def test_outcomes_of_a_loss_follow_its_direction():
    scores = {8: [1.0, 1.1, 1.2], 16: [1.0001, 1.1002, 1.2], 32: [1.5, 1.61, 1.7], 64: [1.1, 1.2, 1.31]}
    found = compare_to_best(scores, margin=0.05, higher_is_better=False)
    assert {size: one.outcome for size, one in found.items()} == {
        8: "equivalent",
        16: "equivalent",
        32: "worse",
        64: "worse",
    }


def test_extra_variances_of_both_arms_widen_the_interval():
    scores = {8: [1.0, 1.1, 1.2], 16: [1.5, 1.61, 1.7], 32: [1.1, 1.2, 1.31]}
    found = compare_to_best(scores, margin=0.05, extra_variance={16: 0.5, 8: 0.5})[8]
    assert found.high - found.difference > stats.norm.ppf(0.95)
    assert found.outcome == "undecided"


def test_one_seed_leaves_every_comparison_undecided():
    found = compare_to_best({8: [1.0], 16: [2.0]}, margin=0.1)
    assert (found[8].low, found[8].high, found[8].outcome) == (-math.inf, math.inf, "undecided")


def test_equivalence_is_claimed_at_the_edge_of_the_margin_in_five_percent():
    # 2,000 repetitions beforehand: standard error .005; a false alarm in 1 of 1,000 runs.
    generator = numpy.random.default_rng(9)
    claimed = 0
    for _ in range(2_000):
        second = generator.normal(size=6) * 0.1
        found = compare_to_best({8: second - 0.3, 16: second + generator.normal(size=6) * 0.1}, margin=0.3)
        claimed += found[8].outcome == "equivalent"
    assert claimed / 2_000 < 0.05 + 0.016


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(-0.4, 0.4, "equivalent"), (-0.6, 0.4, "undecided"), (0.1, 0.6, "better"), (-2.0, -0.1, "worse")],
)
def test_outcome_of_an_interval(low, high, outcome):
    assert outcome_of(low, high, margin=0.5) == outcome
    assert outcome_of(-high, -low, margin=0.5, higher_is_better=False) == outcome


def test_seeds_to_settle_has_the_sizes_not_shown_equivalent_and_asks_for_more_seeds():
    generator = numpy.random.default_rng(10)
    scores = {8: generator.normal(size=4), 16: generator.normal(size=4), 32: generator.normal(size=4) - 0.5}
    needed = seeds_to_settle(scores, margin=0.5)
    best = max(scores, key=lambda size: scores[size].mean())
    assert set(needed) == set(scores) - {best}
    assert all(count > 4 for count in needed.values())


def test_seeds_to_settle_is_none_where_the_learning_rates_noise_prevents_it():
    scores = {8: [1.0, 1.2, 1.1], 16: [1.15, 1.0, 1.1]}
    assert seeds_to_settle(scores, margin=0.1, extra_variance={8: 0.1}) == {16: None}


def test_seeds_to_settle_leaves_out_what_is_equivalent():
    assert seeds_to_settle({8: [1.0, 1.2, 1.1], 16: [1.0, 1.2, 1.1001]}, margin=0.1) == {}


def test_seeds_to_settle_needs_two_seeds():
    with pytest.raises(ValueError) as error:
        seeds_to_settle({8: [1.0], 16: [2.0]}, margin=0.1)
    assert str(error.value) == (
        "`seeds_to_settle` needs at least 2 seeds to see their scatter, got 1; run another seed."
    )


def test_holm_stops_at_the_first_that_is_not_rejected():
    assert holm([0.01, 0.04, 0.03, 0.005]) == (True, False, False, True)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_rejects_what_bonferroni_rejects_and_nothing_above_the_level(p_values):
    for p, rejected in zip(p_values, holm(p_values), strict=True):
        assert rejected or p > 0.05 / len(p_values)
        assert p <= 0.05 or not rejected


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=7), st.data())
def test_expected_best_is_the_mean_over_all_subsets(values, data):
    n = data.draw(st.integers(1, len(values)))
    subsets = list(itertools.combinations(values, n))
    assert expected_best_of(values, n) == pytest.approx(sum(map(max, subsets)) / len(subsets), abs=1e-9)
    lowest = sum(map(min, subsets)) / len(subsets)
    assert expected_best_of(values, n, higher_is_better=False) == pytest.approx(lowest, abs=1e-9)


def test_expected_best_of_8_normal_trials_is_unbiased_from_12():
    # 20,000 repetitions beforehand: standard error .004 around 1.424; a false alarm is a 4-sigma event.
    samples = numpy.random.default_rng(11).normal(size=(20_000, 12))
    assert numpy.mean([expected_best_of(row, 8) for row in samples.tolist()]) == pytest.approx(1.424, abs=0.017)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: expected_best_of([1.0], 2),
            "`n` must lie between 1 and the number of values (1), got 2; run more trials.",
        ),
        (
            lambda: indifference_set({8: [1.0]}, level=0.05),
            "`level` must lie between 0.5 and 1, got 0.05; use 0.95 for a test at 5 %.",
        ),
        (
            lambda: compare_to_best({8: [1.0]}, margin=-1.0),
            "`margin` must be finite and not negative, got -1.0; use the largest difference that does not matter.",
        ),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message


def test_dunnett_point_is_found_here_too():
    assert dunnett_point(2, 4) == pytest.approx(2.1318, abs=1e-4)
