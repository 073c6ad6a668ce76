import pytest

from batchlab.records import TrialResult, TrialSettings
from batchlab.studies.plan import Plan, plan, trial_id
from simulated import INFO, World, spec

WORLD = World({8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05})


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
