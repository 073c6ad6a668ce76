import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from batchlab.records import Budget
from batchlab.train.budgets import evaluation_points, examples_in_steps, points_toward_target, steps_in_budget

POLICIES = ("carry", "drop", "keep")


def test_a_budget_in_steps_is_the_number_of_steps_at_every_batch_size() -> None:
    assert {steps_in_budget(Budget("steps", 70), size, 1000, "carry") for size in (1, 8, 1000)} == {70}


@given(st.integers(1, 500), st.integers(500, 5000), st.floats(0.5, 20))
def test_carried_batches_use_the_budget_to_within_half_a_batch(batch_size: int, n_train: int, epochs: float) -> None:
    steps = steps_in_budget(Budget("epochs", epochs), batch_size, n_train, "carry")
    assert abs(steps * batch_size - epochs * n_train) <= max(batch_size / 2, batch_size - epochs * n_train) + 1e-6


def test_an_epoch_drops_or_keeps_the_short_batch_as_the_policy_says() -> None:
    steps = {policy: steps_in_budget(Budget("epochs", 2), 30, 100, policy) for policy in POLICIES}
    assert steps == {"carry": 7, "drop": 6, "keep": 8}


def test_kept_short_batches_count_as_what_they_are() -> None:
    assert examples_in_steps(9, 30, 100, "keep") == 100 + 100 + 30


def test_every_budget_buys_at_least_one_step() -> None:
    assert steps_in_budget(Budget("examples", 3), 64, 100, "carry") == 1


@given(st.integers(1, 10**7))
def test_evaluation_points_rise_to_the_last_example(n_examples: int) -> None:
    points = evaluation_points(n_examples)
    assert points[-1] == n_examples
    assert list(points) == sorted(set(points))
    assert points[0] >= 1


def test_evaluation_points_resolve_the_beginning() -> None:
    points = evaluation_points(102_400)
    assert points[0] <= 102_400 / 512
    assert [b / a for a, b in itertools.pairwise(points)][:5] == [2.0] * 5


@given(st.integers(1, 10**7), st.integers(1, 10**5))
def test_points_toward_a_target_rise_to_the_last_example(n_examples: int, n_valid: int) -> None:
    points = points_toward_target(n_examples, n_valid)
    assert points[-1] == n_examples
    assert list(points) == sorted(set(points))


@given(st.integers(1000, 10**7), st.integers(1, 10**5))
def test_points_toward_a_target_lie_within_a_fifth_unless_evaluation_would_cost_more_than_training(
    n_examples: int, n_valid: int
) -> None:
    for low, high in itertools.pairwise(points_toward_target(n_examples, n_valid)):
        assert high - low >= math.floor(n_valid / 3)
        assert high - low <= max(0.19 * low, n_valid / 3) + 2
