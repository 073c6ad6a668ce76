import dataclasses

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from batchlab.analyze.contest import Contest, decide
from batchlab.analyze.current_loss import Pick, loss_of_current

SIZES = (8, 16, 32, 64, 128)
Drawn = tuple[dict[int, float], Pick]


def drawn(means: dict[int, float], today: float, *, n_seeds: int = 5, seed: int = 0, sd: float = 0.004) -> Drawn:
    """Return today's scores and the pick of the best arm; errors with a seed effect that all share."""
    rng = numpy.random.default_rng(seed)
    shared = rng.normal(0, 0.01, n_seeds)
    scores = {size: dict(enumerate(mean + shared + rng.normal(0, sd, n_seeds))) for size, mean in means.items()}
    current = dict(enumerate(today + shared + rng.normal(0, sd, n_seeds)))
    best = min(scores, key=lambda size: sum(scores[size].values()))
    nothing = dict.fromkeys(means, 0.0)
    pick = Pick(best, tuple(means), scores, nothing, higher_is_better=False, margin=0.005, level=0.95)
    return current, pick


def test_against_the_only_arm_it_is_the_paired_t_interval() -> None:
    current, pick = drawn({32: 0.05}, 0.06)
    found = loss_of_current(current, pick).interval
    expected = stats.ttest_rel(list(current.values()), list(pick.scores[32].values())).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_noise_of_the_picked_arms_learning_rate_is_in_the_interval() -> None:
    current, pick = drawn({32: 0.05}, 0.06)
    tuned = dataclasses.replace(pick, tuning_variances={32: 0.003**2})
    differences = [current[seed] - pick.scores[32][seed] for seed in current]
    of_seeds = numpy.var(differences, ddof=1) / 5
    total = of_seeds + 0.003**2
    half_width = stats.t.ppf(0.975, total**2 / (of_seeds**2 / 4)) * total**0.5
    found = loss_of_current(current, tuned).interval
    assert (found.low, found.high) == pytest.approx((found.mean - half_width, found.mean + half_width))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(-1, 1), min_size=5, max_size=5))
def test_what_a_seed_does_to_every_setting_does_not_count(seed: int, effects: list[float]) -> None:
    current, pick = drawn(dict.fromkeys(SIZES, 0.05), 0.055, seed=seed)
    moved = dataclasses.replace(
        pick, scores={size: {s: row[s] + effects[s] for s in row} for size, row in pick.scores.items()}
    )
    found = loss_of_current({s: current[s] + effects[s] for s in current}, moved)
    expected = loss_of_current(current, pick)
    assert dataclasses.astuple(found.interval) == pytest.approx(dataclasses.astuple(expected.interval), abs=1e-9)


def test_higher_is_better_is_the_mirror_image() -> None:
    current, pick = drawn(dict.fromkeys(SIZES, 0.05), 0.06)
    negated = {size: {seed: -value for seed, value in row.items()} for size, row in pick.scores.items()}
    mirrored = dataclasses.replace(pick, scores=negated, higher_is_better=True)
    found = loss_of_current({seed: -value for seed, value in current.items()}, mirrored)
    assert found == loss_of_current(current, pick)


def test_being_picked_among_more_lowers_the_lower_limit_alone() -> None:
    current, pick = drawn(dict.fromkeys(SIZES, 0.05), 0.06)
    limits = [
        loss_of_current(current, dataclasses.replace(pick, rivals=(pick.arm, *SIZES[:count]))).interval
        for count in (0, 2, 5)
    ]
    lows = [one.low for one in limits]
    assert lows == sorted(lows, reverse=True) and lows[0] != lows[1] != lows[2]  # type: ignore[type-var]
    assert len({one.high for one in limits}) == 1


@pytest.mark.parametrize(
    ("today", "margin", "outcomes"),
    [
        (0.09, 0.005, ("worse",)),
        (0.02, 0.005, ("better",)),
        (0.05, 0.03, ("within_margin",)),
        (0.07, 0.05, ("worse", "within_margin")),
        (0.05, 0.0001, ("undecided",)),
    ],
)
def test_what_the_interval_shows(today: float, margin: float, outcomes: tuple[str, ...]) -> None:
    current, pick = drawn({8: 0.05, 16: 0.08}, today, n_seeds=8)
    pick = dataclasses.replace(pick, margin=margin, rivals=(8,))
    assert loss_of_current(current, pick).outcomes == outcomes


def test_two_seeds_give_a_difference_without_an_interval() -> None:
    current, pick = drawn(dict.fromkeys(SIZES, 0.05), 0.06, n_seeds=2)
    found = loss_of_current(current, pick)
    assert found.interval.mean == pytest.approx(numpy.mean([current[s] - pick.scores[pick.arm][s] for s in (0, 1)]))
    assert (found.interval.low, found.interval.high, found.outcomes) == (None, None, ())


def test_only_seeds_that_both_have_are_compared() -> None:
    current, pick = drawn(dict.fromkeys(SIZES, 0.05), 0.06, n_seeds=6)
    cut = {size: {seed: row[seed] for seed in range(4)} for size, row in pick.scores.items()}
    expected = loss_of_current({seed: current[seed] for seed in range(4)}, dataclasses.replace(pick, scores=cut))
    assert loss_of_current({seed: current[seed] for seed in (0, 1, 2, 3)}, pick) == expected


def test_picking_the_best_of_equal_arms_does_not_make_todays_setting_lose() -> None:
    """n = 200, expected 5 false losses at .025: more than 13 would come by chance once in 2,000."""
    means = dict.fromkeys((*SIZES, 256, 512, 1024), 0.05)
    found = [loss_of_current(*drawn(means, 0.05, seed=seed)).outcomes for seed in range(200)]
    assert sum("worse" in outcomes for outcomes in found) <= 13


def test_with_one_clear_best_the_interval_is_no_wider_than_it_must_be() -> None:
    """n = 400; at coverage .95 fewer than 8 or more than 34 misses would come by chance once in 1,000 each."""
    means = {8: 0.09, 16: 0.07, 32: 0.05, 64: 0.07, 128: 0.09}
    missed = 0
    for seed in range(400):
        current, pick = drawn(means, 0.06, seed=seed)
        contest = Contest(
            SIZES, pick.scores, {size: dict.fromkeys(range(5), 0.9) for size in SIZES}, {}, False, 0.005, 0.95
        )
        outcome = decide(contest)
        assert outcome.best is not None
        rivals = (outcome.best, *outcome.tied, *outcome.undecided)
        interval = loss_of_current(current, dataclasses.replace(pick, rivals=rivals)).interval
        assert interval.low is not None and interval.high is not None
        missed += not interval.low <= 0.06 - means[outcome.best] <= interval.high
    assert 8 <= missed <= 34
