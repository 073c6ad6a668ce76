import dataclasses

import numpy
import pytest

from batchlab.analyze.contest import Contest, decide

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)


def contest(means: dict[int, float], *, sd: float, n_seeds: int, seed: int = 0, **changes: object) -> Contest:
    """Return a contest with normal noise around the given mean errors, a seed effect shared by all sizes."""
    rng = numpy.random.default_rng(seed)
    shared = rng.normal(0, 0.01, n_seeds)
    scores = {size: dict(enumerate(mean + shared + rng.normal(0, sd, n_seeds))) for size, mean in means.items()}
    plain = Contest(
        asked=tuple(means),
        scores=scores,
        baselines={size: dict.fromkeys(range(n_seeds), 0.9) for size in means},
        tuning_variances=dict.fromkeys(means, 0.0),
        higher_is_better=False,
        margin=0.005,
        level=0.95,
    )
    return dataclasses.replace(plain, **changes)


def test_one_clear_winner_inside_the_range_is_resolved() -> None:
    outcome = decide(contest({8: 0.05, 16: 0.02, 32: 0.06}, sd=0.002, n_seeds=5))
    assert (outcome.verdict, outcome.best, outcome.worse) == ("resolved", 16, (8, 32))


def test_sizes_equivalent_within_the_margin_are_tied() -> None:
    outcome = decide(contest({8: 0.02, 16: 0.02, 32: 0.06}, sd=0.001, n_seeds=10))
    assert outcome.verdict == "tied"
    assert {outcome.best, *outcome.tied} == {8, 16}
    assert outcome.worse == (32,)


def test_a_difference_that_is_real_but_small_is_said_to_be_both() -> None:
    outcome = decide(contest({8: 0.05, 16: 0.02, 32: 0.023}, sd=0.0005, n_seeds=10))
    assert (outcome.worse, outcome.worse_within_margin) == ((8, 32), (32,))


def test_too_much_noise_to_tell_is_underpowered_and_says_how_many_seeds() -> None:
    outcome = decide(contest({8: 0.02, 16: 0.021, 32: 0.06}, sd=0.01, n_seeds=5))
    assert outcome.verdict == "underpowered"
    assert outcome.undecided
    assert outcome.seeds_needed is not None and outcome.seeds_needed > 20


def test_a_single_best_size_at_the_end_of_the_range_is_on_the_edge() -> None:
    outcome = decide(contest({8: 0.02, 16: 0.05, 32: 0.06}, sd=0.002, n_seeds=5))
    assert (outcome.verdict, outcome.best, outcome.reasons) == ("edge-of-range", 8, ("smallest",))


def test_a_learning_rate_at_the_edge_of_its_search_is_on_the_edge() -> None:
    outcome = decide(contest({8: 0.05, 16: 0.02, 32: 0.06}, sd=0.002, n_seeds=5, at_edge=(16,)))
    assert (outcome.verdict, outcome.reasons) == ("edge-of-range", ("learning rate",))


def test_nothing_better_than_a_constant_is_no_signal() -> None:
    outcome = decide(contest(dict.fromkeys((8, 16, 32), 0.9), sd=0.02, n_seeds=5))
    assert outcome.verdict == "no-signal"
    assert outcome.tied == ()


def test_diverged_sizes_are_worse() -> None:
    outcome = decide(contest({8: 0.05, 16: 0.02, 32: 0.06}, sd=0.002, n_seeds=5, diverged=(64,)))
    assert outcome.verdict == "resolved"
    assert outcome.worse == (8, 32, 64)


def test_all_sizes_diverged_is_no_signal() -> None:
    assert decide(contest({}, sd=1.0, n_seeds=1, diverged=(8, 16))).verdict == "no-signal"


def test_nothing_confirmed_yet_is_underpowered_without_a_best() -> None:
    outcome = decide(contest({}, sd=1.0, n_seeds=1))
    assert (outcome.verdict, outcome.best) == ("underpowered", None)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_fewer_than_three_seeds_decide_nothing(n_seeds: int) -> None:
    outcome = decide(contest({8: 0.05, 16: 0.02}, sd=0.0001, n_seeds=n_seeds))
    assert (outcome.verdict, outcome.undecided, outcome.worse) == ("underpowered", (8,), ())
    assert outcome.seeds_needed is None


def test_sizes_without_a_common_seed_are_not_compared() -> None:
    assert decide(contest({8: 0.05, 16: 0.02}, sd=0.0, n_seeds=0)).verdict == "underpowered"


def test_the_edge_is_that_of_the_sizes_asked_for() -> None:
    only = contest({16: 0.02}, sd=0.002, n_seeds=5)
    assert decide(only).reasons == ("smallest", "largest")
    assert decide(dataclasses.replace(only, asked=(8, 16, 32))).verdict == "resolved"


def test_higher_is_better_is_the_mirror_image() -> None:
    low = contest({8: 0.05, 16: 0.02, 32: 0.06}, sd=0.002, n_seeds=5)
    mirrored = dataclasses.replace(
        low,
        scores={size: {seed: -value for seed, value in row.items()} for size, row in low.scores.items()},
        baselines={size: {seed: -value for seed, value in row.items()} for size, row in low.baselines.items()},
        higher_is_better=True,
    )
    expected, outcome = decide(low), decide(mirrored)
    assert (outcome.verdict, outcome.best, outcome.worse) == (expected.verdict, expected.best, expected.worse)


def test_equal_sizes_are_called_different_in_at_most_one_study_in_twenty() -> None:
    """n = 400, expected false alarms 5 %: more than 34 would come by chance once in 1,000."""
    claims = sum(
        decide(contest(dict.fromkeys(SIZES, 0.05), sd=0.004, n_seeds=5, seed=seed)).worse != () for seed in range(400)
    )
    assert claims <= 34


def test_noise_without_signal_beats_the_constant_in_at_most_one_study_in_twenty() -> None:
    """n = 400 with eight independent arms: more than 34 would come by chance once in 1,000."""
    claims = sum(
        decide(contest(dict.fromkeys(SIZES, 0.9), sd=0.02, n_seeds=5, seed=seed)).verdict != "no-signal"
        for seed in range(400)
    )
    assert claims <= 34


@pytest.mark.parametrize("gap", [0.0, 0.004])
def test_the_true_best_is_kept(gap: float) -> None:
    """n = 400; with true probability .95 fewer than 366 would come by chance once in 1,000."""
    means = {size: 0.05 + gap * (size != 32) for size in SIZES}
    kept = sum(32 not in decide(contest(means, sd=0.004, n_seeds=5, seed=seed)).worse for seed in range(400))
    assert kept >= 366
