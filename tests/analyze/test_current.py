import dataclasses
import math

import pytest

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.study import analyze_study
from batchlab.records import Current, StepTime, StudyRecord, TrialResult, TrialSettings
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, World, spec

# Each size is best at lr B/320; an octave off costs 0.003.
FLOORS = {8: 0.04, 16: 0.03, 32: 0.02, 64: 0.03, 128: 0.05, 500: 0.06}
WORLD = World(FLOORS, noise=0.001)
SLOW = Current(64, 0.025)


def record(world: World = WORLD, current: Current = SLOW, **changes: object) -> StudyRecord:
    """Return a finished simulated study that was asked about today's setting."""
    executor = InstantExecutor(world.result)
    question = spec(current=current, **changes)
    return run_study(question, INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet())


def timed(found: StudyRecord, **seconds: float) -> StudyRecord:
    """Return the study with step times of 1 ms, other ones for the batch sizes named as in b64=2e-3."""
    times = dict.fromkeys((*found.spec.batch_sizes, 500), 1e-3) | {int(k[1:]): v for k, v in seconds.items()}
    steps = tuple(StepTime(size, second, second, second, 7, 2, "cpu") for size, second in times.items())
    return dataclasses.replace(found, step_times=steps)


def test_todays_setting_is_compared_with_the_recommended_one_over_the_same_seeds() -> None:
    findings = analyze_study(timed(record(), b64=2e-3, b32=1e-3))
    row = findings.current
    assert row is not None and row.loses is not None and row.loses.low is not None and row.loses.high is not None
    assert (row.against_batch_size, row.n_seeds, row.n_steps) == (32, 5, 64)
    # Floors differ by 0.01, and three octaves off cost 9 x 0.003.
    assert row.loses.low < 0.037 < row.loses.high
    assert row.flags == ("worse",)
    assert (row.step_time_s, row.seconds, row.time_ratio) == (2e-3, 64 * 2e-3, pytest.approx(1.0))
    assert row.test_metric is not None and row.test_metric.mean == pytest.approx(row.valid_metric.mean + 0.01)


def test_the_contest_of_arms_does_not_know_of_todays_setting() -> None:
    asked, plain = analyze_study(record()), analyze_study(record(current=None))  # type: ignore[arg-type]
    assert plain.current is None
    assert (asked.answer, asked.batch_sizes, asked.curves) == (plain.answer, plain.batch_sizes, plain.curves)
    assert asked.trials.done == plain.trials.done + 5


def test_a_batch_size_beside_the_arms_gets_no_row_of_its_own() -> None:
    findings = analyze_study(record(current=Current(500, 0.5)))
    assert [row.batch_size for row in findings.batch_sizes] == [8, 16, 32, 64, 128]
    assert findings.current is not None and findings.current.batch_size == 500


def test_the_recommended_setting_itself_loses_nothing() -> None:
    rates = {row.batch_size: row.learning_rate for row in analyze_study(record()).batch_sizes}
    found = record(current=Current(32, rates[32]))
    row = analyze_study(found).current
    assert row is not None and row.loses is not None
    assert (row.loses.mean, row.loses.low, row.loses.high, row.flags) == (0.0, 0.0, 0.0, ("same",))
    assert row.sentence == f"Today's 32 at lr {rates[32]:g} is the recommended setting."
    assert len(found.trials) == len(record(current=None).trials)  # type: ignore[arg-type]


def test_a_setting_that_is_another_arm_is_compared_by_the_trials_of_that_arm() -> None:
    rates = {row.batch_size: row.learning_rate for row in analyze_study(record()).batch_sizes}
    findings = analyze_study(record(current=Current(64, rates[64])))
    arm = next(row for row in findings.batch_sizes if row.batch_size == 64)
    best = next(row for row in findings.batch_sizes if row.batch_size == 32)
    assert findings.current is not None and findings.current.loses is not None
    assert findings.current.loses.mean == pytest.approx(arm.valid_metric.mean - best.valid_metric.mean)
    assert findings.current.flags == ("worse",)


def with_status(findings_of: str, seeds: tuple[int, ...]) -> StudyFindings:
    """Return the findings of a study in which these seeds of today's setting ended with the status."""

    def respond(settings: TrialSettings) -> TrialResult:
        found = WORLD.result(settings)
        hit = settings.learning_rate == 0.0201 and settings.seed in seeds
        return dataclasses.replace(found, status=findings_of) if hit else found

    question = spec(current=Current(64, 0.0201))
    executor = InstantExecutor(respond)
    return analyze_study(run_study(question, INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet()))


def test_a_setting_that_diverged_has_no_loss_and_says_so() -> None:
    findings = with_status("diverged", (1, 3))
    row = findings.current
    assert row is not None
    assert (row.loses, row.n_seeds, row.flags) == (None, 3, ("diverged",))
    rate = findings.batch_sizes[2].learning_rate
    assert (
        row.sentence == f"Today's 64 at lr 0.0201 diverged in 2 of 5 seeds, so it counts as worse than 32 at {rate:g}."
    )
    assert "diverged" not in next(row.flags for row in findings.batch_sizes if row.batch_size == 64)


def test_a_failed_trial_of_todays_setting_is_missing_there_and_nowhere_else() -> None:
    findings = with_status("failed", (1,))
    assert findings.current is not None
    assert (findings.current.n_seeds, findings.current.flags) == (4, ("failed", "worse"))
    assert not any("failed" in row.flags for row in findings.batch_sizes)
    assert findings.answer.warnings[0] == (
        "Not finished: trials are missing of today's setting; `batchlab resume` goes on."
    )


def test_a_setting_that_was_not_trained_yet_has_no_row() -> None:
    findings = with_status("failed", (0, 1, 2, 3, 4))
    assert findings.current is None
    assert "of today's setting" in findings.answer.warnings[0]


@pytest.mark.parametrize("seeds", [1, 2])
def test_on_too_few_seeds_there_is_a_difference_and_no_interval(seeds: int) -> None:
    row = analyze_study(record(seeds=seeds)).current
    assert row is not None and row.loses is not None
    assert (row.loses.low, row.loses.high, row.flags) == (None, None, ("too_few_seeds",))
    assert row.loses.mean == pytest.approx(0.037, abs=0.01)


def test_without_a_recommendation_it_is_compared_with_the_best_mean() -> None:
    world = World(dict.fromkeys(FLOORS, 0.9), noise=0.02, seed_noise=0.0, curvature=0.0)
    findings = analyze_study(record(world))
    assert findings.answer.recommended is None and findings.current is not None
    best = min(findings.batch_sizes, key=lambda row: row.valid_metric.mean)
    assert findings.current.against_batch_size == best.batch_size
    assert f"{best.batch_size} at {best.learning_rate:g} (the best mean)" in findings.current.sentence


def test_where_every_arm_diverged_there_is_nothing_to_compare_with() -> None:
    findings = analyze_study(record(World(FLOORS, diverges_above=0.03), lr_mode="fixed", base_lr=0.1))
    row = findings.current
    assert row is not None
    assert (row.against_batch_size, row.against_learning_rate, row.loses, row.time_ratio) == (None, None, None, None)
    value = f"{100 * row.valid_metric.mean:.2f}%"
    assert row.sentence == (
        f"Today's 64 at lr 0.025 has a validation error of {value}; there is nothing to compare it with yet."
    )


def test_a_better_setting_than_the_recommended_one_is_the_first_warning() -> None:
    better = World(FLOORS | {500: 0.005}, best_rate=lambda _: 0.1, noise=0.001)
    findings = analyze_study(record(better, current=Current(500, 0.1)))
    assert findings.current is not None and findings.current.flags == ("better",)
    assert findings.answer.warnings[0] == (
        "Today's setting is shown to be better than the recommended one: keep it, and have the study search around it "
        "(`--batch-sizes`, `--base-lr`)."
    )


def test_beside_a_control_of_equal_arms_todays_setting_is_no_arm() -> None:
    world = World({32: 0.02, 64: 0.03}, noise=0.001)
    found = record(world, same_batch_size=32, lr_mode="fixed", base_lr=0.1)
    findings = analyze_study(found)
    assert {row.n_seeds for row in findings.batch_sizes} == {5}
    assert findings.current is not None and findings.current.batch_size == 64
    assert findings.current.n_seeds == 5


def test_higher_is_better_turns_the_sign() -> None:
    found = record()
    flipped = tuple(
        dataclasses.replace(
            one,
            valid_metric=1 - one.valid_metric,
            baseline_metric=1 - one.baseline_metric,
            curve=dataclasses.replace(one.curve, valid_metric=tuple(1 - value for value in one.curve.valid_metric)),
        )
        for one in found.trials
    )
    info = dataclasses.replace(found.info, metric="accuracy", higher_is_better=True)
    expected = analyze_study(found).current
    row = analyze_study(dataclasses.replace(found, info=info, trials=flipped)).current
    assert row is not None and expected is not None and row.loses is not None and expected.loses is not None
    assert row.loses.mean == pytest.approx(expected.loses.mean)
    assert (row.loses.low, row.loses.high) == pytest.approx((expected.loses.low, expected.loses.high))


def test_the_loss_covers_the_truth_when_the_other_setting_was_tuned_and_picked() -> None:
    """n = 40 studies in which two sizes tie; at coverage .95 more than 7 misses would come by chance once in 1,000."""
    floors = {8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.04}
    today = 0.025 + 0.003 * math.log2(0.1 / 0.2) ** 2
    missed = 0
    for seed in range(40):
        row = analyze_study(record(World(floors), Current(64, 0.1), seed=seed)).current
        assert row is not None and row.loses is not None and row.against_batch_size is not None
        assert row.loses.low is not None and row.loses.high is not None
        missed += not row.loses.low <= today - floors[row.against_batch_size] <= row.loses.high
    assert missed <= 7
