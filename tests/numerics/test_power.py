import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchlab.numerics.comparisons import indifference_set
from batchlab.numerics.dunnett import dunnett_point
from batchlab.numerics.power import detectable_difference, seeds_to_detect


def lagging(n_studies, n_sizes, n_seeds, sd):
    """Return studies in which one size lags by what is detectable and all but the best lie far below."""
    behind = numpy.full(n_sizes, 25.0 * sd)
    behind[:2] = 0.0, detectable_difference(sd, n_seeds, n_sizes)
    generator = numpy.random.default_rng(0)
    noise = generator.normal(0, sd, (n_studies, n_sizes, n_seeds)) + generator.normal(0, 1, (n_studies, 1, n_seeds))
    return noise - behind[:, None]


@pytest.mark.parametrize(("n_sizes", "n_seeds"), [(2, 5), (4, 5), (8, 3)])
def test_the_difference_is_shown_with_the_power_by_the_dunnett_point(n_sizes, n_seeds):
    # 20,000 studies beforehand: standard error .0028; .012 is a 4-sigma event.
    scores, df = lagging(20_000, n_sizes, n_seeds, 0.2), (n_seeds - 1) * (n_sizes - 1)
    means = scores.mean(axis=2, keepdims=True)
    centered = scores - means - scores.mean(axis=1, keepdims=True) + scores.mean(axis=(1, 2), keepdims=True)
    error = numpy.sqrt(2 * (centered**2).sum(axis=(1, 2)) / df / n_seeds)
    leads = (means[:, 0, 0] - means[:, 1, 0]) / error
    assert (leads > dunnett_point(n_sizes, df)).mean() == pytest.approx(0.8, abs=0.012)


def test_the_indifference_set_loses_little_of_the_power():
    # 1,000 studies beforehand: the standard error is .014, so .69 is 4 of them below the .75 once found.
    found = [indifference_set(dict(enumerate(scores.tolist()))) for scores in lagging(1000, 4, 5, 0.2)]
    assert 0.69 < sum(1 not in kept for kept in found) / 1000 < 0.81


@given(st.integers(3, 40), st.integers(2, 8), st.floats(0.01, 10))
@settings(max_examples=30, deadline=None)
def test_seeds_and_differences_ask_the_same_question(n_seeds, n_sizes, sd):
    difference = detectable_difference(sd, n_seeds, n_sizes)
    assert seeds_to_detect(1.001 * difference, sd, n_sizes) <= n_seeds
    assert seeds_to_detect(0.999 * difference, sd, n_sizes) >= n_seeds


@given(st.floats(0.01, 10))
@settings(max_examples=10, deadline=None)
def test_the_difference_scales_with_the_scatter(sd):
    assert detectable_difference(sd, 5, 8) == pytest.approx(sd * detectable_difference(1.0, 5, 8))


def test_more_seeds_tell_finer_differences_and_more_sizes_coarser_ones():
    by_seeds = [detectable_difference(1.0, n_seeds, 6) for n_seeds in (2, 3, 5, 10, 100)]
    by_sizes = [detectable_difference(1.0, 20, n_sizes) for n_sizes in (2, 4, 8, 16)]
    assert by_seeds == sorted(by_seeds, reverse=True)
    assert by_sizes == sorted(by_sizes)


def test_shared_variance_is_a_floor():
    assert detectable_difference(1.0, 10_000, 4, shared_variance=0.04) > 0.2 * 2.0
    assert detectable_difference(1.0, 5, 4, shared_variance=0.4) == pytest.approx(
        math.sqrt(2) * detectable_difference(1.0, 5, 4)
    )


def test_one_seed_is_refused():
    with pytest.raises(ValueError) as error:
        detectable_difference(0.2, 1, 8)
    assert str(error.value) == (
        "Telling apart needs a standard deviation above 0, 2 or more seeds and batch sizes and a power between 0 and "
        "1, got 0.2, 1, 8 and 0.8; estimate the scatter from a few seeds first."
    )


def test_a_difference_of_nothing_is_refused():
    with pytest.raises(ValueError) as error:
        seeds_to_detect(0.0, 0.2, 8)
    assert str(error.value) == "`difference` must be above 0, got 0.0; give the smallest one that matters."


def test_a_hopeless_difference_is_refused():
    with pytest.raises(ValueError) as error:
        seeds_to_detect(1e-5, 0.2, 8)
    assert str(error.value) == (
        "A difference of 1e-05 takes more than a million seeds at a standard deviation of 0.2; "
        "look for a larger difference."
    )
