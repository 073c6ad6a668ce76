import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchlab.numerics.choice import choice_variance

SCORES = st.lists(st.floats(-5, 5), min_size=2, max_size=8)


@settings(max_examples=30, deadline=None)
@given(SCORES, st.floats(0.1, 10), st.floats(-3, 3))
def test_the_variance_scales_with_the_outcomes_and_not_with_their_level(
    scores: list[float], scale: float, level: float
) -> None:
    sds = [0.5] * len(scores)
    plain = choice_variance(scores, scores, sds)
    moved = choice_variance(scores, [scale * one + level for one in scores], sds)
    assert moved == pytest.approx(scale**2 * plain, abs=1e-12)


def test_without_noise_the_best_of_a_random_few_is_picked() -> None:
    """Of 12 settings the second is picked where it was drawn and the first was not; all others are alike here."""
    second = (11 / 12) ** 12 - (10 / 12) ** 12
    outcomes = [0.0, 1.0, *[0.0] * 10]
    # Four standard errors of the share of 2,000 repetitions.
    assert choice_variance(range(12), outcomes, [0.0] * 12) == pytest.approx(second * (1 - second), abs=0.03)


def test_a_setting_that_cannot_be_trained_is_never_picked_but_takes_the_place_of_another() -> None:
    lost = [numpy.inf] * 6
    few = choice_variance([0.0, 1.0, *lost], [0.0, 1.0, *[numpy.nan] * 6], [0.0] * 8)
    # The first is not drawn by 34% of the repetitions of which any can train; the second then is.
    neither = (6 / 8) ** 8
    second = ((7 / 8) ** 8 - neither) / (1 - neither)
    assert few == pytest.approx(second * (1 - second), abs=0.03)
    assert choice_variance(lost, lost, [0.0] * 6) == 0.0


def test_the_variance_covers_that_between_repetitions_of_a_random_search() -> None:
    """200 searches of 18 random places in a square, whose truth is the squared distance from the middle, noise sd 0.1.

    The mean of the estimates lies between 1 and 3 times the variance of what a search finds.
    """
    generator, found, estimated = numpy.random.default_rng(1), [], []
    for _ in range(200):
        truth = (generator.uniform(-2, 2, size=(18, 2)) ** 2).sum(axis=1)
        scores = truth + 0.1 * generator.standard_normal(18)
        found.append(truth[scores.argmin()])
        estimated.append(choice_variance(scores, scores, numpy.full(18, 0.1)))
    assert 1 < numpy.mean(estimated) / numpy.var(found) < 3
