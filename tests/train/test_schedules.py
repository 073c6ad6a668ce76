import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.records import Schedule
from batchlab.train.schedules import learning_rate_factor


def test_cosine_falls_from_one_to_zero_after_warm_up() -> None:
    schedule = Schedule("cosine", warmup=0.2)
    assert learning_rate_factor(schedule, 0.2, 0.21) == 1.0
    assert learning_rate_factor(schedule, 0.6, 0.61) == pytest.approx(0.5)
    assert learning_rate_factor(schedule, 1.0, 1.0) == pytest.approx(0.0)


def test_step_schedule_multiplies_at_each_milestone() -> None:
    schedule = Schedule("step", milestones=(0.5, 0.75), factor=0.1)
    factors = [learning_rate_factor(schedule, share, share + 0.01) for share in (0.0, 0.49, 0.5, 0.8)]
    assert factors == pytest.approx([1.0, 1.0, 0.1, 0.01])


@given(st.integers(1, 64))
def test_warm_up_reaches_the_same_rate_after_the_same_examples_at_every_batch_size(steps: int) -> None:
    schedule = Schedule("constant", warmup=0.5)
    reached = [learning_rate_factor(schedule, k / steps, (k + 1) / steps) for k in range(steps)]
    assert reached == sorted(reached)
    assert all(0 < factor <= 1 for factor in reached)
    assert all(factor == pytest.approx(min(1.0, 2 * (k + 1) / steps)) for k, factor in enumerate(reached))
