import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from batchlab.numerics.sample_size import (
    seeds_for_difference,
    seeds_for_equivalence,
    seeds_for_paired_difference,
    seeds_to_settle_pair,
)

EFFECTS = (0.5, 1.0, 1.5, 2.0)


def test_unpaired_seeds_are_those_known():
    assert [seeds_for_difference(effect, 1.0) for effect in EFFECTS] == [64, 17, 9, 6]


def test_paired_seeds_are_those_known():
    assert [seeds_for_paired_difference(effect, 1.0) for effect in EFFECTS] == [34, 10, 6, 5]


def test_equivalence_within_half_a_standard_deviation_takes_70_seeds_an_arm():
    assert seeds_for_equivalence(0.5, 1.0) == 70


@given(st.floats(0.05, 2.0), st.floats(0.6, 0.95))
def test_the_normal_formula_is_at_most_three_seeds_short(effect, power):
    normal = math.ceil(2 * (stats.norm.ppf(0.975) + stats.norm.ppf(power)) ** 2 / effect**2)
    assert normal <= seeds_for_difference(effect, 1.0, power) <= normal + 3


@given(st.floats(0.3, 3.0), st.floats(0.001, 1000))
def test_only_the_ratio_of_difference_and_scatter_counts(effect, unit):
    assert seeds_for_paired_difference(effect * unit, unit) == pytest.approx(
        seeds_for_paired_difference(effect, 1.0), abs=1
    )


@pytest.mark.parametrize("function", [seeds_for_difference, seeds_for_paired_difference])
def test_seeds_found_have_the_power_in_simulation(function):
    # 20,000 experiments beforehand: standard error .003; a false alarm is a 4-sigma event.
    n = function(1.0, 1.0)
    generator = numpy.random.default_rng(4)
    first, second = generator.normal(size=(2, 20_000, n))
    if function is seeds_for_difference:
        p_values = stats.ttest_ind(first + 1.0, second, axis=1).pvalue
        fewer = stats.ttest_ind(first[:, :-1] + 1.0, second[:, :-1], axis=1).pvalue
    else:
        p_values = stats.ttest_1samp(first + 1.0, 0.0, axis=1).pvalue
        fewer = stats.ttest_1samp(first[:, :-1] + 1.0, 0.0, axis=1).pvalue
    assert (p_values < 0.05).mean() > 0.8 - 0.012
    assert (fewer < 0.05).mean() < 0.8 + 0.012


def test_settling_an_equal_pair_takes_the_power_of_two_one_sided_tests():
    # 20,000 experiments beforehand: standard error .003; a false alarm is a 4-sigma event.
    n = seeds_to_settle_pair(0.0, 2.0, margin=0.5)
    differences = numpy.random.default_rng(5).normal(0, math.sqrt(2), (20_000, n))
    half = stats.t.ppf(0.95, n - 1) * stats.sem(differences, axis=1)
    settled = (numpy.abs(differences.mean(axis=1)) + half < 0.5).mean()
    assert settled == pytest.approx(0.8, abs=0.02)


def test_a_clear_difference_is_settled_sooner_than_a_small_one():
    counts = [seeds_to_settle_pair(difference, 2.0, margin=0.1) for difference in (2.0, 1.0, 0.5)]
    assert counts == sorted(counts)


def test_more_arms_take_more_seeds_to_show_a_difference():
    assert seeds_to_settle_pair(0.5, 2.0, margin=0.1, n_arms=8) > seeds_to_settle_pair(0.5, 2.0, margin=0.1, n_arms=3)


def test_shared_variance_can_prevent_an_answer():
    assert seeds_to_settle_pair(0.0, 2.0, 0.1, margin=0.5) is None
    assert seeds_to_settle_pair(1.0, 2.0, 1.0, margin=0.5) is None
    assert seeds_to_settle_pair(1.0, 2.0, 0.01, margin=0.5) is not None


def test_without_margin_equal_sizes_are_never_settled():
    assert seeds_to_settle_pair(0.0, 2.0, margin=0.0) is None


def test_a_difference_of_zero_is_refused():
    with pytest.raises(ValueError) as error:
        seeds_for_difference(0.0, 1.0)
    assert str(error.value) == (
        "The difference and the standard deviation must be above 0 and the power between 0 and 1, "
        "got 0.0, 1.0 and 0.8; give the smallest difference that matters."
    )


def test_a_hopeless_difference_is_refused():
    with pytest.raises(ValueError) as error:
        seeds_for_difference(1e-4, 1.0)
    assert str(error.value) == (
        "It would take more than 1,000,000 seeds, which cannot be meant; look for a larger difference."
    )
