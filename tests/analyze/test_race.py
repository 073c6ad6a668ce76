import dataclasses
import math

import numpy
import pytest

from batchlab.analyze.race import MARGIN, Race, race_exponent, race_of, race_rates
from batchlab.analyze.scouting import Scouted
from batchlab.numerics.cost_posterior import CostRun
from batchlab.numerics.cost_surface import CostSurface
from batchlab.records import StepTime
from race_cases import SIZES, finished, soft

ARMS = (8, 32, 128)


def race(costs: list[float], sd: float = 0.02, **changes: object) -> Race:
    """Return a race of three arms, in one objective that is ln(examples)."""
    surface = CostSurface(
        log_cost=numpy.log(costs),
        log_rate=numpy.log([0.01, 0.04, 0.16]),
        covariance=numpy.diag([sd**2] * 3 + [0.1**2] * 3),
        right=3.0,
        tau=1.2,
        wall=0.5,
        noise=0.1,
    )
    runs = tuple(CostRun(arm, rate, 1.0, True) for arm in range(3) for rate in (-6.0, 0.0))
    plain = {
        "arms": ARMS,
        "scouted": Scouted(runs, {8: 1.0}),
        "surface": surface,
        "objectives": (numpy.zeros(3),),
        "log_budgets": numpy.full(3, numpy.inf),
        "keeps_all": False,
    }
    return Race(**(plain | changes))  # type: ignore[arg-type]


def test_an_arm_that_cannot_get_there_within_the_budget_is_out_and_no_one_is_held_against_it() -> None:
    budgets = numpy.log([200.0, 200.0, 50.0])
    found = race([100, 103, 60], log_budgets=budgets)
    assert found.contenders == (8, 32) and not found.is_in_time(128)
    assert found.shortfall(32)[0] == pytest.approx(math.log(1.03))
    assert race([100, 103, 60], log_budgets=budgets, keeps_all=True).contenders == ARMS
    # Where none is expected in time the budget decides nothing between those that may be.
    assert race([100, 103, 60], sd=0.2, log_budgets=numpy.log([90.0, 90.0, 55.0])).contenders == ARMS


def test_an_arm_is_out_when_even_the_optimistic_limit_of_its_cost_is_too_high() -> None:
    assert race([100, 130, 100]).contenders == (8, 128)
    assert race([100, 130, 100], sd=0.1).contenders == ARMS
    assert race([100, 100 * (1 + MARGIN), 100], sd=1e-6).contenders == ARMS


def test_an_arm_that_is_good_in_one_of_two_objectives_is_in() -> None:
    steps = -numpy.log(ARMS)
    assert race([100, 130, 400], objectives=(numpy.zeros(3), steps)).contenders == (8, 128)
    assert race([100, 130, 400], objectives=(numpy.zeros(3),)).contenders == (8,)


def test_where_all_are_kept_none_is_out() -> None:
    assert race([100, 500, 900], keeps_all=True).contenders == ARMS


def test_only_arms_that_are_in_get_a_learning_rate_and_none_before_the_target_was_reached() -> None:
    assert set(race_rates(race([100, 130, 100]), 0.95)) == {8, 128}
    assert race_rates(race([100, 130, 100], scouted=Scouted((), {})), 0.95) == {}


def test_the_learning_rate_is_a_little_below_the_best_and_its_noise_adds_to_the_cost() -> None:
    rate = race_rates(race([100, 100, 100]), 0.95)[32]
    assert rate.low is not None and rate.high is not None
    assert rate.low < rate.value <= 0.04 < rate.high
    assert rate.high / rate.low == pytest.approx(math.exp(2 * 1.96 * 0.1), rel=1e-3)
    curvature = 3.0 / 1.2
    assert rate.metric_variance == pytest.approx(curvature**2 * 0.1**4 / 2, rel=0.9)


def test_the_exponent_is_that_of_the_best_rates() -> None:
    found = race_exponent(race([100, 100, 100]), 0.95)
    assert found.value == pytest.approx(1.0)
    assert found.high - found.value == pytest.approx(1.96 * 0.1 / math.sqrt(2) / math.log(4), rel=1e-3)


def test_seconds_are_the_objective_where_all_step_times_are_known() -> None:
    record = finished(soft())
    known = race_of(record.spec, record.info, record.trials, record.step_times)
    missing = race_of(record.spec, record.info, record.trials, record.step_times[1:])
    assert known is not None and missing is not None
    assert [len(one.objectives) for one in (known, missing)] == [1, 2]
    assert known.objectives[0] == pytest.approx(numpy.log([(100 + size) / size for size in SIZES]))


def test_arms_of_a_control_are_of_one_size() -> None:
    record = finished(soft(seed_sd=0.0, own_sd=0.0), same_batch_size=64)
    times = (StepTime(64, 1.0, 1.0, 1.0, 1, 1, "cpu"),)
    found = race_of(record.spec, record.info, record.trials, times)
    assert found is not None
    assert numpy.ptp(found.surface.log_cost) < 0.15
    assert found.contenders == SIZES


def test_without_a_trial_there_is_no_race() -> None:
    world = soft()
    assert race_of(world.spec(), world.info, (), world.step_times()) is None
    assert dataclasses.replace(race([1, 1, 1]), keeps_all=True).contenders == ARMS
