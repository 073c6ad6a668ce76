import dataclasses
import math

import pytest

from batchlab.analyze.arms import results_by_arm
from batchlab.analyze.scouting import Scouted, examples_to, scouted
from batchlab.records import Stop, TrialResult
from batchlab.studies.trials import trial_settings
from race_cases import soft
from search_worlds import World

WORLD = soft(seed_sd=0.0, own_sd=0.0)


def trial(world: World, size: int, factor: float, most_examples: int | None = None) -> TrialResult:
    """Return a scouting trial at a multiple of the best learning rate."""
    rate = 0.1 * math.sqrt(size / 32) * factor
    settings = trial_settings(world.spec(), world.info, size, rate, 10_000, "tune")
    return world.result(dataclasses.replace(settings, stop=Stop(world.target, False, most_examples)))


def of(*trials: TrialResult, world: World = WORLD) -> Scouted:
    """Return the trials as scouted."""
    return scouted(world.spec(), world.info, results_by_arm(world.spec(), trials, "tune"))


def test_a_trial_at_the_target_costs_the_examples_to_it() -> None:
    run = of(trial(WORLD, 32, 1.0)).runs[0]
    assert (run.arm, run.reached, run.extra_sd) == (2, True, 0.0)
    assert math.exp(run.log_cost) == pytest.approx(WORLD.examples_to_target(32, 0.1), rel=0.03)


def test_a_trial_cut_off_costs_what_a_curve_stretched_in_time_would() -> None:
    short = trial(WORLD, 32, 0.5, most_examples=4000)
    assert short.status == "stopped"
    run = of(trial(WORLD, 32, 1.0), short).runs[1]
    true = math.log(WORLD.examples_to_target(32, 0.05))
    assert run.reached and run.extra_sd > 0
    assert run.log_cost == pytest.approx(true, abs=0.05)


def test_a_curve_that_levels_off_had_too_high_a_rate() -> None:
    def leveled(one: TrialResult) -> TrialResult:
        metric = tuple(max(value, 0.2) for value in one.curve.valid_metric)
        return dataclasses.replace(one, curve=dataclasses.replace(one.curve, valid_metric=metric))

    run = of(trial(WORLD, 32, 1.0), leveled(trial(WORLD, 32, 0.9, most_examples=20_000))).runs[1]
    assert not run.reached and run.failed


def test_a_trial_that_diverged_had_too_high_a_rate() -> None:
    run = of(trial(WORLD, 32, 1.0), trial(WORLD, 32, 8.0)).runs[1]
    assert run.failed and not run.reached


def test_while_nobody_is_there_the_best_value_seen_stands_in_for_the_target() -> None:
    found = of(trial(WORLD, 32, 1.0, most_examples=2000), trial(WORLD, 32, 0.5, most_examples=2000))
    assert found.costs == {}
    assert [run.reached for run in found.runs] == [True, True]
    assert found.runs[1].log_cost > found.runs[0].log_cost


def test_the_least_cost_of_each_size_is_known() -> None:
    found = of(trial(WORLD, 32, 1.0), trial(WORLD, 32, 0.7), trial(WORLD, 256, 1.0))
    assert {size: math.exp(cost) for size, cost in found.costs.items()} == pytest.approx(
        {size: WORLD.examples_to_target(size, 0.1 * math.sqrt(size / 32)) for size in (32, 256)}, rel=0.03
    )


def test_an_untrained_model_at_the_target_needs_nothing() -> None:
    assert examples_to(1.0, trial(WORLD, 32, 1.0), WORLD.info) == 0.0
    assert of(trial(soft(target=1.0), 32, 1.0), world=soft(target=1.0)).runs[0].log_cost == 0.0
