import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchlab.numerics.choice import choice_variance, pick_probabilities

SCORES = st.lists(st.floats(-5, 5), min_size=2, max_size=8)


def test_pick_probabilities_are_those_of_drawing_again() -> None:
    scores, draws = numpy.array([0.0, 0.3, 0.5, 2.0]), 40_000
    drawn = scores + numpy.random.default_rng(0).normal(size=(draws, 4)) * 0.5
    shares = numpy.bincount(drawn.argmin(axis=1), minlength=4) / draws
    # Four standard errors of a share of one half.
    assert pick_probabilities(scores, 0.25) == pytest.approx(shares, abs=4 * 0.5 / draws**0.5)


@settings(max_examples=30, deadline=None)
@given(SCORES, st.floats(0.0, 4.0))
def test_pick_probabilities_add_up_and_follow_the_order_of_the_scores(scores: list[float], variance: float) -> None:
    found = pick_probabilities(scores, variance)
    assert found.sum() == pytest.approx(1)
    assert (numpy.diff(found[numpy.argsort(scores)]) <= 1e-9).all()


def test_without_noise_the_lowest_is_picked_and_adds_no_variance() -> None:
    assert pick_probabilities([2.0, 1.0, 3.0], 0.0).tolist() == [0.0, 1.0, 0.0]
    assert choice_variance([2.0, 1.0, 3.0], [5.0, 6.0, 7.0], 0.0) == 0.0


@settings(max_examples=30, deadline=None)
@given(SCORES, st.floats(0.1, 10), st.floats(-3, 3))
def test_the_variance_scales_with_the_outcomes_and_not_with_their_level(
    scores: list[float], scale: float, level: float
) -> None:
    plain = choice_variance(scores, scores, 0.5)
    assert choice_variance(scores, [scale * one + level for one in scores], 0.5) == pytest.approx(scale**2 * plain)


def test_the_variance_is_that_between_repetitions_of_the_tuning() -> None:
    """600 tunings of 6 settings whose truth is drawn anew, scores of sd 0.5 and outcomes of sd 0.25.

    The mean of the estimates lies between 1 and 2.2 times the variance of what a repetition picks; at these numbers its
    standard error is about 6%.
    """
    generator, n = numpy.random.default_rng(1), 600
    truth = generator.normal(size=(n, 6))
    first, second = (truth + 0.5 * generator.normal(size=(n, 6)) for _ in range(2))
    picked = [truth[numpy.arange(n), one.argmin(axis=1)] for one in (first, second)]
    actual = 0.5 * float(((picked[0] - picked[1]) ** 2).mean())
    outcomes = truth + 0.25 * generator.normal(size=(n, 6))
    estimated = numpy.mean([choice_variance(s, y, 0.25, 0.0625) for s, y in zip(first, outcomes, strict=True)])
    assert 1.0 < estimated / actual < 2.2
