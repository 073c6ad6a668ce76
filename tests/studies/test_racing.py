import functools
import math

import pytest

from batchlab.analyze.setting_choice import StepCost
from batchlab.studies.racing import FINAL_DRAWS, Race, RacePlan, arrival, compare_runs, run_to_the_end
from batchlab.studies.rate_bracket import bracket_rate, climb

CRITICAL, BEST_RATE = 300.0, 0.1


def examples_factor(batch_size, learning_rate):
    """Return the examples a setting needs, by the theory, in units of the least."""
    best = BEST_RATE * (1 + CRITICAL / 32) / (1 + CRITICAL / batch_size)
    share = learning_rate / best
    cost = -math.log(share * (2 - share)) if share < 1 else 0.5 * math.log2(share) ** 2
    return (1 + batch_size / CRITICAL) * math.exp(cost)


class Analytic:
    """A run whose loss falls as a power of the examples over those its setting needs, up to its target."""

    def __init__(self, batch_size, learning_rate, target=0.0):
        self.batch_size, self.learning_rate, self.examples, self.target = batch_size, learning_rate, 0, target
        self.places, self.losses = [], []

    @property
    def curve(self):
        return self.places, self.losses

    def train_to(self, examples):
        while self.examples < examples and (not self.losses or self.losses[-1] > self.target):
            self.examples += self.batch_size * max(1, self.examples // 12 // self.batch_size)
            self.places.append(self.examples)
            diverged = self.learning_rate > 3
            progress = self.examples / examples_factor(self.batch_size, self.learning_rate)
            self.losses.append(math.inf if diverged else 1 / (1 + progress / 500))
            if diverged:
                return


def raced(overhead_s, per_example_s, seed=0, target=None):
    costs = {2**power: StepCost(overhead_s + per_example_s * 2**power) for power in range(2, 11)}
    plan = RacePlan(costs, 32_000, 80_000, 32, 0.02, 1.0, math.log(128), 1.7, 1.0, seed, target)
    race = Race(functools.partial(Analytic, target=target or 0.0), plan)
    bracket_rate(race)
    climb(race)
    run_to_the_end(race)
    found = race.outlook(FINAL_DRAWS)
    return race, int(found.batch_sizes[found.chosen]), float(found.learning_rates[found.chosen]), costs


def test_the_advice_of_a_race_is_near_the_best_there_is():
    race, size, rate, costs = raced(1e-3, 1e-5)
    times = {
        one: examples_factor(one, BEST_RATE * (1 + CRITICAL / 32) / (1 + CRITICAL / one)) / one * cost.value
        for one, cost in costs.items()
    }
    assert examples_factor(size, rate) / size * costs[size].value <= 1.2 * min(times.values())
    assert race.room >= 0


def test_a_race_to_a_target_ends_there_and_costs_less():
    # A loss of 1/5 is reached after 2,000 times what the setting needs, a sixteenth of the horizon.
    race, size, rate, costs = raced(1e-3, 1e-5, target=0.2)
    times = {
        one: examples_factor(one, BEST_RATE * (1 + CRITICAL / 32) / (1 + CRITICAL / one)) / one * cost.value
        for one, cost in costs.items()
    }
    assert examples_factor(size, rate) / size * costs[size].value <= 1.2 * min(times.values())
    arrived = [arrival(racer, 0.2) for racer in race.racers]
    assert sum(map(math.isfinite, arrived)) >= 2
    assert race.depth_at(min(arrived)) == 0
    assert race.room > 40_000


def test_a_diverged_run_bounds_and_the_deepest_run_is_compared_with_nothing():
    runs = [Analytic(32, 0.1), Analytic(32, 4.0)]
    for run in runs:
        run.train_to(8000)
    (found,) = compare_runs(runs)
    assert found.is_bound and found.learning_rate == 4.0 and found.against_learning_rate == 0.1


def test_a_run_at_half_the_pace_needs_twice_the_examples_at_every_level():
    fast, slow = Analytic(32, 0.1), Analytic(600, 0.1 * (1 + CRITICAL / 32) / (1 + CRITICAL / 600))
    for run in (fast, slow):
        run.train_to(32_000)
    ratio = math.log((1 + 600 / CRITICAL) / (1 + 32 / CRITICAL))
    exact = [one for one in compare_runs([fast, slow]) if not one.is_bound]
    assert exact and all(one.log_ratio == pytest.approx(ratio, abs=0.15) for one in exact)


def test_no_run_is_longer_than_the_reference_needs_for_its_whole_way():
    costs = {2**power: StepCost(1e-3) for power in range(2, 11)}
    slow = (32, BEST_RATE / 8)
    plan = RacePlan(costs, 32_000, 80_000, 32, 0.02, 1.0, math.log(128), 1.7, 1.0, reference=slow)
    race = Race(Analytic, plan)
    for setting in (slow, (32, BEST_RATE)):
        race.launch(*setting, 4000)
    faster = examples_factor(32, BEST_RATE) / examples_factor(*slow)
    model = race.model()
    assert race.longest(model, *slow) == 32_000
    assert race.longest(model, 32, BEST_RATE) == pytest.approx(32_000 * faster, rel=0.3)


def test_a_reference_that_diverged_sets_no_limit():
    plan = RacePlan({32: StepCost(1e-3)}, 32_000, 80_000, 32, 0.02, 1.0, math.log(128), 1.7, 1.0, reference=(32, 4.0))
    race = Race(Analytic, plan)
    for rate in (4.0, BEST_RATE):
        race.launch(32, rate, 4000)
    assert race.longest(race.model(), 32, BEST_RATE) == 32_000
