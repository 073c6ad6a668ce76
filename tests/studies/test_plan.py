import pytest

from batchlab.records import Current, TrialResult, TrialSettings
from batchlab.studies.plan import Plan, plan, timed_settings, trial_id, trial_settings
from simulated import INFO, World, spec

WORLD = World({8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05, 500: 0.06})


def carry_out(**changes: object) -> tuple[Plan, dict[str, TrialResult]]:
    """Run the plan to its end in the simulated world."""
    results: dict[str, TrialResult] = {}
    question = spec(**changes)
    while not (step := plan(question, INFO, results)).complete:
        for settings in step.trials:
            results.setdefault(trial_id(settings), WORLD.result(settings))
    return step, results


def of(step: Plan, purpose: str) -> list[TrialSettings]:
    """Return the trials of one purpose."""
    return [settings for settings in step.trials if settings.purpose == purpose]


def test_the_plan_depends_on_results_and_not_on_their_order() -> None:
    step, results = carry_out()
    backwards = dict(reversed(results.items()))
    assert plan(spec(), INFO, backwards) == step


def test_no_seed_serves_both_tuning_and_confirmation() -> None:
    step, _ = carry_out()
    assert not {one.seed for one in of(step, "tune")} & {one.seed for one in of(step, "confirm")}


def test_every_batch_size_is_confirmed_on_the_same_seeds() -> None:
    step, _ = carry_out(seeds=4)
    seeds = {size: [one.seed for one in of(step, "confirm") if one.batch_size == size] for size in spec().batch_sizes}
    assert set(map(tuple, seeds.values())) == {(0, 1, 2, 3)}


def test_tuning_finds_the_best_rate_of_each_batch_size() -> None:
    step, _ = carry_out(tuning_seeds=3)
    for one in of(step, "confirm"):
        assert 0.7 < one.learning_rate / WORLD.best_rate(one.batch_size) < 1.4


def test_a_fixed_rate_goes_straight_to_confirmation() -> None:
    first = plan(spec(lr_mode="fixed", base_lr=0.03), INFO, {})
    assert first.stage == "confirming"
    assert {one.learning_rate for one in first.trials} == {0.03}


def test_rules_move_the_base_rate() -> None:
    rates = {
        mode: [one.learning_rate for one in plan(spec(lr_mode=mode, seeds=1), INFO, {}).trials]
        for mode in ("linear", "sqrt")
    }
    assert rates["linear"] == [0.025, 0.05, 0.1, 0.2, 0.4]
    assert rates["sqrt"] == pytest.approx([0.05, 0.1 / 2**0.5, 0.1, 0.1 * 2**0.5, 0.2])


def test_arms_of_an_aa_control_differ_in_nothing_but_the_order_of_the_data() -> None:
    first = plan(spec(lr_mode="fixed", same_batch_size=32, seeds=2), INFO, {})
    assert {one.batch_size for one in first.trials} == {32}
    assert len({trial_id(one) for one in first.trials}) == 10
    assert len({(one.seed, one.learning_rate, one.n_steps) for one in first.trials}) == 2


def test_a_changed_fingerprint_makes_new_trials() -> None:
    import dataclasses

    before = plan(spec(), INFO, {}).trials
    after = plan(spec(), dataclasses.replace(INFO, fingerprint="other"), {}).trials
    assert not {trial_id(one) for one in before} & {trial_id(one) for one in after}


def test_a_failed_trial_does_not_stop_the_plan() -> None:
    import dataclasses

    results: dict[str, TrialResult] = {}
    for _ in range(20):
        step = plan(spec(), INFO, results)
        for settings in step.trials:
            found = WORLD.result(settings)
            if settings.batch_size == 16 and settings.seed % 2:
                found = dataclasses.replace(found, status="failed")
            results.setdefault(trial_id(settings), found)
        if step.complete:
            return
    raise AssertionError("the plan never completed")


def test_a_rule_gives_equal_arms_equal_rates() -> None:
    trials = plan(spec(lr_mode="linear", same_batch_size=8, seeds=1), INFO, {}).trials
    assert {one.learning_rate for one in trials} == {0.025}


def test_todays_setting_is_trained_on_the_seeds_of_the_arms() -> None:
    step, _ = carry_out(current=Current(500, 0.3), seeds=4)
    today = [one for one in of(step, "confirm") if one.batch_size == 500]
    assert [(one.learning_rate, one.seed, one.n_steps) for one in today] == [(0.3, seed, 8) for seed in range(4)]
    assert not any(one.batch_size == 500 for one in of(step, "tune"))


def test_todays_setting_shares_the_trials_of_an_arm_that_is_the_same() -> None:
    plain = plan(spec(lr_mode="fixed"), INFO, {})
    same = plan(spec(lr_mode="fixed", current=Current(32, 0.1)), INFO, {})
    other = plan(spec(lr_mode="fixed", current=Current(32, 0.2)), INFO, {})
    assert same.trials == plain.trials
    assert len(other.trials) == len(plain.trials) + spec().seeds


def test_todays_setting_changes_nothing_about_the_other_trials() -> None:
    plain, asked = carry_out()[0], carry_out(current=Current(64, 0.01))[0]
    assert [one for one in asked.trials if one.learning_rate != 0.01] == list(plain.trials)


def test_the_number_of_trials_expected_counts_todays_setting() -> None:
    first, last = plan(spec(current=Current(64, 0.01)), INFO, {}), carry_out(current=Current(64, 0.01))[0]
    assert first.n_expected == plan(spec(), INFO, {}).n_expected + 5
    assert last.n_expected == len(last.trials)


def test_todays_setting_is_trained_where_no_arm_can_be() -> None:
    import dataclasses

    question, results = spec(current=Current(64, 1e-9)), {}
    while not (step := plan(question, INFO, results)).complete:
        for settings in step.trials:
            found = WORLD.result(settings)
            if settings.learning_rate > 1e-9:
                found = dataclasses.replace(found, status="diverged")
            results[trial_id(settings)] = found
    assert [one.learning_rate for one in of(step, "confirm")] == [1e-9] * 5


def test_beside_a_control_of_equal_arms_todays_setting_keeps_its_own_size() -> None:
    trials = plan(spec(lr_mode="fixed", same_batch_size=32, current=Current(64, 0.1), seeds=1), INFO, {}).trials
    assert [(one.batch_size, one.replica) for one in trials][-2:] == [(32, 5), (64, 0)]


def test_only_batches_that_are_larger_than_a_micro_batch_are_split() -> None:
    trials = plan(spec(lr_mode="fixed", micro_batch_size=32, seeds=1, current=Current(500, 0.1)), INFO, {}).trials
    parts = {one.batch_size: one.micro_batch_size for one in trials}
    assert parts == {8: None, 16: None, 32: None, 64: 32, 128: 32, 500: 32}


def test_trials_that_are_not_split_are_the_same_with_a_micro_batch_size() -> None:
    plain, split = (trial_settings(spec(micro_batch_size=size), INFO, 64, 0.1, 0, "tune") for size in (None, 64))
    assert trial_id(plain) == trial_id(split)


def test_every_batch_size_is_timed_once() -> None:
    question = spec(current=Current(500, 0.3), micro_batch_size=64)
    timed = timed_settings(question, INFO)
    assert [one.batch_size for one in timed] == [8, 16, 32, 64, 128, 500]
    assert {one.purpose for one in timed} == {"time"}
    assert {one.purpose for one in timed_settings(spec(target=0.1), INFO)} == {"energy"}
    assert timed[-1].micro_batch_size == 64
    assert [one.batch_size for one in timed_settings(spec(current=Current(64, 0.3)), INFO)] == [8, 16, 32, 64, 128]


def test_a_control_of_equal_arms_is_timed_at_its_one_size() -> None:
    assert [one.batch_size for one in timed_settings(spec(same_batch_size=32), INFO)] == [32]


def test_seeds_are_added_only_where_the_answer_is_open() -> None:
    step, _ = carry_out(seeds=5, max_seeds=20, tuning_seeds=4)
    counts = {size: sum(one.batch_size == size for one in of(step, "confirm")) for size in spec().batch_sizes}
    assert counts[128] < 20 and counts[16] == counts[32] > 5
    assert step.n_expected == len(step.trials)


def test_the_first_seeds_of_a_range_are_the_trials_of_a_fixed_number() -> None:
    fixed, ranged = (plan(spec(lr_mode="fixed", seeds=5, max_seeds=most), INFO, {}) for most in (None, 20))
    assert fixed == ranged


def test_an_adaptive_plan_depends_on_results_and_not_on_their_order() -> None:
    step, results = carry_out(seeds=5, max_seeds=12)
    assert plan(spec(seeds=5, max_seeds=12), INFO, dict(reversed(results.items()))) == step


def test_todays_setting_keeps_the_first_seeds() -> None:
    step, _ = carry_out(lr_mode="fixed", current=Current(500, 0.3), seeds=5, max_seeds=20)
    assert sum(one.batch_size == 500 for one in step.trials) == 5


def test_batch_sizes_are_confirmed_to_the_end_where_trials_of_one_always_fail() -> None:
    import dataclasses

    question, results = spec(lr_mode="fixed", seeds=3, max_seeds=6), {}
    while not (step := plan(question, INFO, results)).complete:
        for settings in step.trials:
            found = WORLD.result(settings)
            status = "failed" if settings.batch_size == 16 else "done"
            results[trial_id(settings)] = dataclasses.replace(found, status=status)
    assert {one.batch_size for one in step.trials} == set(question.batch_sizes)
