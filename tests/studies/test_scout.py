import dataclasses
import math

import pytest

from batchlab.analyze.arms import TUNING_SEED_BASE
from batchlab.analyze.scouting import examples_to
from batchlab.analyze.study import analyze_study
from batchlab.records import TrialResult, TrialSettings
from batchlab.studies.plan import Plan, plan
from batchlab.studies.scout import MOST_OPENING, MOST_ROUNDS, _Point, _settings, scout
from batchlab.studies.trials import trial_id
from race_cases import SIZES, finished, harmonic, of, soft
from search_worlds import World

WORLD = soft()


def scouted(world: World, change=lambda one: one, **changes: object) -> tuple[Plan, dict[str, TrialResult]]:
    """Follow the plan to its end, with results changed on the way."""
    results: dict[str, TrialResult] = {}
    spec = world.spec(**changes)
    while not (step := plan(spec, world.info, results, world.step_times())).complete:
        for settings in step.trials:
            if trial_id(settings) not in results:
                results[trial_id(settings)] = change(world.result(settings))
    return step, results


def test_a_race_depends_on_results_and_not_on_their_order() -> None:
    step, results = scouted(WORLD)
    backwards = dict(reversed(results.items()))
    assert plan(WORLD.spec(), WORLD.info, backwards, WORLD.step_times()) == step


def test_the_first_round_looks_at_three_sizes_around_the_base() -> None:
    first = scout(WORLD.spec(), WORLD.info, {}, WORLD.step_times())
    assert [one.batch_size for one in first.trials] == [8, 32, 128]
    assert first.trials[1].learning_rate == 0.05
    assert {one.stop.most_examples for one in first.trials if one.stop} == {None}


def test_every_size_is_scouted_and_those_that_are_in_get_as_many_trials() -> None:
    record = finished(WORLD)
    counts = {size: sum(one.batch_size == size for one in of(record, "tune")) for size in SIZES}
    contenders = {one.batch_size for one in of(record, "confirm")}
    assert min(counts.values()) >= 1
    assert min(counts[size] for size in contenders) >= 4
    assert len(of(record, "tune")) <= 30


def test_once_the_target_is_reached_no_trial_takes_more_than_twice_the_best_at_its_size() -> None:
    results: dict[str, TrialResult] = {}
    while not (step := plan(WORLD.spec(), WORLD.info, results, WORLD.step_times())).complete:
        new = [one for one in step.trials if trial_id(one) not in results]
        reached = [one for one in results.values() if examples_to(WORLD.target, one, WORLD.info) is not None]
        costs = {one.settings.batch_size: examples_to(WORLD.target, one, WORLD.info) for one in reached}
        for one in new:
            if one.purpose == "tune" and costs:
                assert one.stop is not None and one.stop.most_examples is not None
                most = max(cost * max(1.0, one.batch_size / size) for size, cost in costs.items() if cost)
                assert one.stop.most_examples <= 2 * most
        results |= {trial_id(one): WORLD.result(one) for one in new}


def test_no_seed_serves_both_scouting_and_confirmation() -> None:
    record = finished(WORLD)
    assert not {one.seed for one in of(record, "tune")} & {one.seed for one in of(record, "confirm")}


def test_with_all_kept_every_size_is_confirmed_whatever_its_chances() -> None:
    record = finished(WORLD, confirm="all")
    assert {one.batch_size for one in of(record, "confirm")} == set(SIZES)


def test_where_everything_diverges_the_search_goes_down_and_gives_up() -> None:
    def diverged(one: TrialResult) -> TrialResult:
        return dataclasses.replace(one, status="diverged")

    step, _ = scouted(soft(target=-1.0), diverged)
    rates = [one.learning_rate for one in step.trials]
    assert min(rates) < min(rates[:3]) / 8**3
    assert {one.purpose for one in step.trials} == {"tune"}


def test_a_base_rate_that_is_far_off_is_found_back_from() -> None:
    world = soft(base_lr=0.1 / 30)
    recommended = analyze_study(finished(world)).answer.recommended
    assert recommended is not None
    assert recommended.learning_rate == pytest.approx(0.1 * math.sqrt(recommended.batch_size / 32), rel=0.5)


def test_a_target_that_nobody_reaches_ends_the_race_after_the_opening() -> None:
    step, _ = scouted(soft(target=1e-9))
    assert len(step.trials) <= 3 * (MOST_OPENING + 1)
    assert {one.purpose for one in step.trials} == {"tune"}


def test_trials_that_fail_do_not_stop_a_race() -> None:
    def failed(one: TrialResult) -> TrialResult:
        return dataclasses.replace(one, status="failed") if one.settings.batch_size == 64 else one

    step, _ = scouted(WORLD, failed)
    assert {one.purpose for one in step.trials} == {"tune", "confirm"}
    assert sum(one.purpose == "tune" for one in step.trials) <= MOST_ROUNDS * len(SIZES)


def test_arms_of_a_control_differ_in_nothing_but_the_order_of_the_data() -> None:
    record = finished(WORLD, same_batch_size=32)
    assert {one.settings.batch_size for one in record.trials} == {32}
    assert {one.settings.replica for one in record.trials} == set(range(1, 9))


def test_without_step_times_sizes_race_in_examples_and_steps() -> None:
    results: dict[str, TrialResult] = {}
    spec = WORLD.spec()
    while not (step := plan(spec, WORLD.info, results)).complete:
        for settings in step.trials:
            results.setdefault(trial_id(settings), WORLD.result(settings))
    confirmed = {one.batch_size for one in step.trials if one.purpose == "confirm"}
    assert {8, 1024} <= confirmed


def test_learning_rates_of_the_closed_form_are_found_at_every_size() -> None:
    world = harmonic(seed_sd=0.0, own_sd=0.02, sizes=(4, 16, 64, 256))
    record = finished(world, confirm="all", batch_sizes=world.sizes)
    rates = {one.batch_size: one.learning_rate for one in of(record, "confirm")}
    tuned = {4: 0.113, 16: 0.430, 64: 1.19, 256: 1.64}
    assert rates == pytest.approx(tuned, rel=0.25)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_no_run_is_made_twice_wherever_it_may_end(noise: float) -> None:
    world = soft(own_sd=noise, seed_sd=noise)
    step, _ = scouted(world, confirm="all")
    runs = [(one.batch_size, one.learning_rate, one.seed) for one in step.trials]
    assert len(runs) == len(set(runs))
    record = finished(world, confirm="all")
    assert {row.batch_size for row in analyze_study(record).batch_sizes} == set(SIZES)


def test_a_trial_made_before_moves_to_the_other_seed_and_then_beside_it() -> None:
    spec, made = WORLD.spec(), list[TrialSettings]()
    for _ in range(3):
        made.append(_settings(spec, WORLD.info, _Point(32, math.log(0.05)), 0, made))
    assert [one.seed - TUNING_SEED_BASE for one in made] == [0, 1, 0]
    assert [one.learning_rate for one in made] == [0.05, 0.05, 0.0515]


def test_sizes_that_would_be_fastest_but_not_in_time_are_left_out_and_one_that_is_wins() -> None:
    # A step costs nearly the same at all sizes, but those above 128 need 14,000 examples or more.
    world = soft(step_overhead=5000.0, budget_examples=10_500.0)
    found = analyze_study(finished(world))
    assert found.answer.best_batch_size == 128
    assert found.race is not None
    late = {one.batch_size for one in found.race.dropped if not one.in_time}
    assert late and late <= {256, 512, 1024}
    assert "short of the target within the budget" in found.answer.confidence
    assert any("exceeds the budget" in note for note in found.notes)
