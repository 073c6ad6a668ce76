import numpy
import pytest

from batchlab.simulate.noisy_quadratic import NoisyQuadratic
from search_simulated import control_of, outcome_of, summary
from search_worlds import drawn_world, quadratic_loss


def test_the_loss_of_a_quadratic_world_is_the_closed_form() -> None:
    curvature, variance = 1 / numpy.arange(1, 11), numpy.full(10, 0.3)
    model = NoisyQuadratic(tuple(curvature), tuple(variance), (1.0,) * 10)
    steps = numpy.array([0.0, 3.0, 50.0])
    expected = [model.expected_loss(int(step), 16, 0.7) for step in steps]
    assert quadratic_loss(curvature, variance)(16, 0.7, steps) == pytest.approx(expected)


def test_worlds_are_the_same_again() -> None:
    first, again = (drawn_world(3, 1) for _ in range(2))
    assert (first.base_lr, first.budget_examples) == (again.base_lr, again.budget_examples)


def test_a_race_costs_a_fraction_of_the_table_and_its_answer_is_good() -> None:
    figures = summary([outcome_of(drawn_world(1, index)) for index in range(2)])
    assert figures["cost"]["worst"] < 0.3
    assert figures["regret_to_table"]["worst"] < 1.3


def test_equal_arms_are_not_told_apart() -> None:
    assert control_of(drawn_world(1, 0)).answer.worse_batch_sizes == ()
