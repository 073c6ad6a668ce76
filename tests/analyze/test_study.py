import dataclasses
import json

import pytest

from batchlab.analyze.study import analyze_study
from batchlab.records import Budget, Current, StudyRecord, TrialResult, TrialSettings, to_json
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, World, spec

FLOORS = {8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05}


def record(world: World | None = None, **changes: object) -> StudyRecord:
    """Return a finished simulated study."""
    executor = InstantExecutor((world or World(FLOORS)).result)
    return run_study(spec(**changes), INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet())


def test_decisions_come_from_validation_and_test_is_shown_beside() -> None:
    findings = analyze_study(record(seeds=20))
    for row in findings.batch_sizes:
        assert row.test_metric is not None
        assert row.test_metric.mean == pytest.approx(row.valid_metric.mean + 0.01)
    best = min(findings.batch_sizes, key=lambda row: row.valid_metric.mean)
    assert findings.answer.best_batch_size == best.batch_size


def test_of_sizes_that_tie_the_fastest_is_recommended() -> None:
    findings = analyze_study(record(World(FLOORS, noise=0.0005), seeds=10))
    answer = findings.answer
    assert answer.verdict == "tied"
    assert {answer.best_batch_size, *answer.tied_batch_sizes} == {16, 32}
    assert answer.recommended is not None
    assert answer.recommended.batch_size == 32


def test_intervals_contain_the_noise_of_choosing_the_learning_rate() -> None:
    tuned = analyze_study(record(World(FLOORS, noise=0.004), tuning_seeds=2))
    fixed = analyze_study(record(World(FLOORS, noise=0.004), lr_mode="fixed"))
    widths = [
        sum(row.valid_metric.high - row.valid_metric.low for row in findings.batch_sizes)  # type: ignore[operator]
        for findings in (tuned, fixed)
    ]
    assert widths[0] > 0
    assert all(row.learning_rate_low < row.learning_rate < row.learning_rate_high for row in tuned.batch_sizes)  # type: ignore[operator]
    assert all(row.learning_rate_low is None for row in fixed.batch_sizes)


def test_the_exponent_of_the_best_rate_is_found() -> None:
    exponent = analyze_study(record(tuning_seeds=4)).learning_rate_exponent
    assert exponent is not None
    assert exponent.low < 1.0 < exponent.high
    assert exponent.high - exponent.low < 0.5


def test_a_fixed_rate_under_equal_epochs_is_called_confounded_twice() -> None:
    warnings = analyze_study(record(lr_mode="fixed", base_lr=0.05)).answer.warnings
    assert warnings[0] == (
        "One learning rate (0.05) for every batch size: batch size is confounded with lr/B, the distance moved and the "
        "noise per example. `--lr tune` takes the two apart."
    )
    assert warnings[1] == (
        "Equal epochs: batch size is confounded with the number of updates, 512 at 8 against 32 at 128. "
        "See the comparison under equal steps."
    )


def test_equal_steps_are_not_confounded_with_updates() -> None:
    warnings = analyze_study(record(budget=Budget("steps", 100))).answer.warnings
    assert not any("updates" in warning for warning in warnings)


def test_under_equal_steps_the_large_batches_gain() -> None:
    flat = World(dict.fromkeys(FLOORS, 0.02), noise=0.001)
    under = analyze_study(record(flat, seeds=8)).under_other_budgets
    assert set(under) == {"steps", "examples", "seconds"}
    steps = under["steps"]
    assert steps is not None
    assert steps.best_batch_size == 128
    assert 8 in steps.worse_batch_sizes


def test_a_diverged_size_is_worse_and_flagged() -> None:
    world = World(FLOORS, diverges_above=0.15)
    findings = analyze_study(record(world, lr_mode="linear", base_lr=0.1))
    flags = {row.batch_size: row.flags for row in findings.batch_sizes}
    assert {size for size in flags if "diverged" in flags[size]} == {64, 128}
    assert set(findings.answer.worse_batch_sizes) >= {64, 128}
    assert any(
        warning.startswith("Training diverged at batch size 64 (5 of 5 seeds) and 128")
        for warning in findings.answer.warnings
    )


def test_a_size_at_which_no_learning_rate_trains_is_worse_and_not_missing() -> None:
    def respond(settings: TrialSettings) -> TrialResult:
        found = World(FLOORS).result(settings)
        return dataclasses.replace(found, status="diverged") if settings.batch_size == 16 else found

    executor = InstantExecutor(respond)
    findings = analyze_study(
        run_study(spec(), INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet())
    )
    assert 16 in findings.answer.worse_batch_sizes
    assert findings.answer.warnings[1] == (
        "Training diverged at batch size 16 (at every learning rate tried); these count as worse."
    )
    assert not any("Not finished" in warning for warning in findings.answer.warnings)


def test_training_that_diverges_everywhere_has_no_answer() -> None:
    executor = InstantExecutor(lambda settings: dataclasses.replace(World(FLOORS).result(settings), status="diverged"))
    answer = analyze_study(
        run_study(spec(), INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet())
    ).answer
    assert answer.verdict == "no-signal"
    assert answer.sentence == (
        "No batch size can be recommended: training diverged at all of them; try smaller learning rates."
    )


def test_trials_of_an_earlier_version_of_the_workload_are_left_out() -> None:
    store = MemoryStore()
    changed = dataclasses.replace(INFO, fingerprint="changed")
    for info, world in ((INFO, World(FLOORS)), (changed, World(dict.fromkeys(FLOORS, 0.5)))):
        executor = InstantExecutor(world.result)
        found = run_study(spec(), info, name="s", store=store, executor=executor, progress=Quiet())
    findings = analyze_study(found)
    assert {row.n_seeds for row in findings.batch_sizes} == {5}
    assert all(row.valid_metric.mean > 0.4 for row in findings.batch_sizes)
    assert any("trials made before the workload changed are kept" in note for note in findings.notes)


def test_an_optimum_that_smoothing_moved_far_is_not_called_sure() -> None:
    def best_rate(batch_size: int) -> float:
        return 0.8 if batch_size == 32 else 0.1

    rows = analyze_study(record(World(FLOORS, best_rate=best_rate, noise=1e-5, seed_noise=0.0))).batch_sizes
    for row in rows:
        assert row.learning_rate_low is not None and row.learning_rate_high is not None
        assert row.learning_rate_low < best_rate(row.batch_size) * 1.02
        assert row.learning_rate_high > best_rate(row.batch_size) / 1.02


def test_no_speed_is_claimed_under_equal_time() -> None:
    flat = World(dict.fromkeys(FLOORS, 0.02), noise=0.0001)
    seconds = analyze_study(record(flat, seeds=8, budget=Budget("steps", 64))).under_other_budgets["seconds"]
    assert seconds is not None
    assert "faster" not in seconds.sentence


def test_no_signal_recommends_nothing() -> None:
    world = World(dict.fromkeys(FLOORS, 0.9), noise=0.02, seed_noise=0.0)
    answer = analyze_study(record(world)).answer
    assert (answer.verdict, answer.best_batch_size, answer.recommended) == ("no-signal", None, None)


def test_an_unfinished_study_says_so() -> None:
    whole = record()
    part = dataclasses.replace(whole, trials=whole.trials[:-3])
    assert analyze_study(part).answer.warnings[0].startswith("Not finished: trials are missing at batch size ")


def test_a_study_with_no_trials_yet_can_be_looked_at() -> None:
    empty = dataclasses.replace(record(), trials=())
    assert analyze_study(empty).batch_sizes == ()


def test_findings_are_json_in_the_shape_that_stays() -> None:
    data = json.loads(json.dumps(to_json(analyze_study(record())), allow_nan=False))
    assert data["format"] == "batchlab.study/1"
    assert {
        "study", "workload", "device", "versions", "metric", "level", "budget", "target", "answer",
        "under_other_budgets",
        "batch_sizes", "learning_rate_exponent", "tradeoff", "trials", "seconds",
    } <= set(data)  # fmt: skip
    assert {
        "batch_size", "learning_rate", "learning_rate_low", "learning_rate_high", "n_seeds", "n_steps",
        "micro_batch_size", "gradient_accumulation_steps", "valid_metric", "test_metric", "train_metric",
        "step_time_s", "steps_to_target", "seconds_to_target", "tied", "flags",
    } <= set(data["batch_sizes"][0])  # fmt: skip
    assert {
        "verdict", "sentence", "best_batch_size", "tied_batch_sizes", "undecided_batch_sizes", "recommended",
        "warnings",
    } <= set(data["answer"])  # fmt: skip


def test_the_control_of_equal_arms_goes_through_the_same_search() -> None:
    world = World({32: 0.02})
    findings = analyze_study(record(world, same_batch_size=32, seeds=5))
    assert [row.micro_batch_size for row in findings.batch_sizes] == [32] * 5
    assert findings.learning_rate_exponent is None
    assert len({row.learning_rate for row in findings.batch_sizes}) > 1


def test_step_times_of_a_busy_machine_are_called_unsure() -> None:
    quiet = record(lr_mode="fixed")
    busy = dataclasses.replace(
        quiet, step_times=tuple(dataclasses.replace(t, low_s=1e-3, high_s=3e-3) for t in quiet.step_times)
    )
    calm = dataclasses.replace(
        quiet, step_times=tuple(dataclasses.replace(t, low_s=1e-3, high_s=1e-3) for t in quiet.step_times)
    )
    said = "Step times varied by up to a factor of 3 between quartiles"
    assert any(note.startswith(said) for note in analyze_study(busy).notes)
    assert not any(note.startswith("Step times varied") for note in analyze_study(calm).notes)


def adaptive(**changes: object) -> StudyRecord:
    """Return a finished study with 5 to 20 seeds in which 64 and 128 are clearly worse."""
    floors = {8: 0.021, 16: 0.02, 32: 0.0205, 64: 0.035, 128: 0.06}
    return record(World(floors, noise=0.004), lr_mode="linear", base_lr=0.1, seeds=5, max_seeds=20, **changes)


def test_sizes_dropped_early_stay_in_the_report_with_their_seeds() -> None:
    findings = analyze_study(adaptive())
    seeds = {row.batch_size: row.n_seeds for row in findings.batch_sizes}
    assert set(seeds) == set(FLOORS)
    assert seeds[128] < seeds[16] == 20
    assert 128 in findings.answer.worse_batch_sizes
    assert "128" in findings.answer.confidence and "dropped early)" in findings.answer.confidence
    note = next(note for note in findings.notes if note.startswith("Seeds were added only where"))
    assert "looks at 5, 8, 12 and 20 seeds" in note and "the last one was at 20" in note
    assert not any("Not finished" in warning for warning in findings.answer.warnings)


def test_other_budgets_are_compared_on_the_seeds_that_all_sizes_have() -> None:
    found = adaptive()
    steps = analyze_study(found).under_other_budgets["steps"]
    fixed = dataclasses.replace(
        found,
        spec=dataclasses.replace(found.spec, max_seeds=None),
        trials=tuple(one for one in found.trials if one.settings.seed < 5),
    )
    expected = analyze_study(fixed).under_other_budgets["steps"]
    assert steps is not None and expected is not None
    assert (steps.best_batch_size, steps.worse_batch_sizes) == (expected.best_batch_size, expected.worse_batch_sizes)


def test_an_adaptive_study_that_stopped_between_looks_says_that_it_is_not_finished() -> None:
    whole = adaptive()
    part = dataclasses.replace(
        whole, trials=tuple(one for one in whole.trials if one.settings.seed < 6 or one.settings.batch_size == 16)
    )
    answer = analyze_study(part).answer
    assert answer.warnings[0].startswith("Not finished: trials are missing at batch size ")
    assert answer.confidence.startswith("How sure: 5 paired seeds a size")


def test_the_interval_of_the_best_has_the_level_of_the_study_at_every_look() -> None:
    findings = analyze_study(adaptive())
    best = next(row for row in findings.batch_sizes if row.batch_size == findings.answer.best_batch_size)
    assert best.valid_metric.low is not None
    assert f"95% interval of the best {100 * best.valid_metric.low:.2f}%" in findings.answer.confidence


def test_todays_setting_is_compared_on_the_seeds_it_has() -> None:
    current = analyze_study(adaptive(current=Current(128, 0.4))).current
    assert current is not None
    assert (current.n_seeds, current.loses is not None) == (5, True)
