from typing import Any

import pytest

from batchlab.analyze.study import analyze_study
from batchlab.records import Budget, TrialResult
from batchlab.studies.controls import plan_with_controls
from batchlab.studies.in_process import InProcessExecutor
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.plan import Plan, plan
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.spec import StudyOptions, resolve_spec
from batchlab.studies.trials import trial_id
from cases import tiny_classifier
from controls_cases import SIZES, Causes, studied
from simulated import INFO, spec


def finished(**changes: Any) -> tuple[Plan, dict[str, TrialResult]]:
    """Return the last plan of a study with controls, and all results."""
    record, _ = studied(Causes().result, **changes)
    results = {trial_id(one.settings): one for one in record.trials}
    return plan_with_controls(record.spec, INFO, results), results


def test_controls_wait_until_the_study_is_settled() -> None:
    asked = spec(batch_sizes=SIZES, controls=("lr",))
    first = plan_with_controls(asked, INFO, {})
    assert (first.stage, first.trials) == ("tuning", plan(asked, INFO, {}).trials)
    assert first.n_expected == plan(asked, INFO, {}).n_expected + 4 * asked.seeds


def test_the_trials_of_the_study_are_the_same_with_controls_and_come_first() -> None:
    with_controls, results = finished(controls=("lr", "aa"))
    plain = plan(spec(batch_sizes=SIZES), INFO, results)
    assert with_controls.complete and plain.complete
    assert with_controls.trials[: len(plain.trials)] == plain.trials


@pytest.mark.parametrize(
    ("name", "n_added"),
    [("lr", 2 * 2 * 5), ("equal-updates", 5), ("extra-training", 2 * 5), ("aa", 2 * 15), ("random-labels", 3 * 15)],
)
def test_each_control_adds_its_own_trials(name: str, n_added: int) -> None:
    step, results = finished(controls=(name,))
    plain = plan(spec(batch_sizes=SIZES), INFO, results)
    added = step.trials[len(plain.trials) :]
    assert len(added) >= n_added if name == "random-labels" else len(added) == n_added


def test_two_controls_share_the_arms_that_both_need() -> None:
    both, alone = (
        len(finished(controls=names)[0].trials) for names in (("equal-updates", "extra-training"), ("extra-training",))
    )
    assert both == alone


def test_an_arm_that_the_study_has_anyway_is_not_trained_twice() -> None:
    step, _ = finished(controls=("equal-updates",), budget=Budget("steps", 64.0))
    assert all(one.purpose != "control" for one in step.trials)
    fixed, _ = finished(controls=("lr",), lr_mode="fixed")
    assert sum(one.purpose == "control" for one in fixed.trials) == 2 * 5


def test_noise_trains_the_largest_size_with_the_noise_of_the_smallest_and_nothing_else() -> None:
    step, _ = finished(controls=("noise",))
    noisy = [one for one in step.trials if one.noise_batch_size is not None]
    assert {(one.batch_size, one.noise_batch_size) for one in noisy} == {(128, 8)}
    assert {one.purpose for one in noisy} == {"tune", "confirm"}


def test_longer_trials_are_evaluated_over_their_own_length() -> None:
    step, _ = finished(controls=("equal-updates",))
    longer = next(one for one in step.trials if one.purpose == "control")
    assert longer.evaluate_at[-1] == longer.n_steps * longer.batch_size == 512 * 128


def test_the_guess_of_all_trials_is_about_right() -> None:
    asked = spec(batch_sizes=SIZES, controls=("lr", "equal-updates", "extra-training", "noise", "aa"))
    guessed = plan_with_controls(asked, INFO, {}).n_expected
    step, _ = finished(controls=asked.controls)
    assert guessed == pytest.approx(len(step.trials), rel=0.15)


def test_controls_are_part_of_the_question() -> None:
    asked = resolve_spec(StudyOptions(batch_sizes=(8, 16), controls="aa,lr"), INFO)
    assert asked.controls == ("lr", "aa")


def test_controls_run_in_the_reference_loop() -> None:
    workload = tiny_classifier()
    executor = InProcessExecutor(workload, "object:tiny")
    info = executor.inspect()
    asked = resolve_spec(
        StudyOptions(
            batch_sizes=(8, 32), lr=0.1, epochs=1, seeds=3, controls=("lr", "equal-updates", "noise", "random-labels")
        ),
        info,
    )
    record = run_study(asked, info, name="s", store=MemoryStore(), executor=executor, progress=Quiet())
    found = analyze_study(record).controls
    assert [one.name for one in found] == ["lr", "equal-updates", "noise", "random-labels"]
    assert all("has not finished" not in one.sentence and one.rows for one in found)
    assert found[3].rows[0].valid_metric.mean > found[1].rows[1].valid_metric.mean + 0.1
