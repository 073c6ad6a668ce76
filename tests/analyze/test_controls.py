"""Each control in a world where it is known what it must find; amounts are in points of error."""

import dataclasses

import pytest

from batchlab.analyze.controls import CONTROLS
from batchlab.analyze.findings import ControlFindings, Estimate
from batchlab.analyze.study import analyze_study
from batchlab.records import TrialResult, TrialSettings
from controls_cases import Causes, control, studied


def near(loses: Estimate | None, points: float) -> bool:
    """Return whether an interval is about an amount: it holds it, and is less than half a point wide."""
    assert loses is not None and loses.low is not None and loses.high is not None
    return 100 * loses.low <= points <= 100 * loses.high and 100 * (loses.high - loses.low) < 0.5


def test_the_learning_rate_control_shows_what_a_rate_for_another_size_costs() -> None:
    """The best rate grows as the root of the batch size: that of 8 is 2 octaves low at 128, the linear one 2 high."""
    found = control(Causes(updates=0.25).result, "lr")
    borrowed, scaled, own = found.rows[-3:]
    assert [row.batch_size for row in found.rows] == [32, 32, 32, 128, 128, 128]
    assert near(borrowed.loses, 1.0 + 2.0) and near(scaled.loses, 1.0 + 2.0) and near(own.loses, 1.0)
    assert found.as_expected is None


def test_equal_updates_close_a_gap_that_comes_from_updates_and_no_other() -> None:
    own, equal = control(Causes(updates=0.5).result, "equal-updates").rows
    assert (own.n_steps, equal.n_steps, equal.batch_size) == (32, 512, 128)
    assert near(own.loses, 2.0) and near(equal.loses, 0.0)
    own, equal = control(Causes(noise=0.5).result, "equal-updates").rows
    assert near(own.loses, 2.0) and near(equal.loses, 2.0)


def test_extra_training_tells_more_examples_from_more_updates() -> None:
    longer, equal = control(Causes(updates=0.5, examples=0.25).result, "extra-training").rows
    assert (longer.batch_size, longer.n_steps, equal.n_steps) == (8, 512 * 16, 512)
    assert near(longer.loses, -1.0)
    assert equal.against_label == longer.label
    assert near(equal.loses, 0.0)


def test_injected_noise_closes_a_gap_that_comes_from_noise_and_no_other() -> None:
    own, noisy, alone = control(Causes(noise=0.5).result, "noise").rows
    assert near(own.loses, 2.0) and near(noisy.loses, 0.0) and near(alone.loses, -2.0)
    own, noisy, alone = control(Causes(updates=0.5).result, "noise").rows
    assert near(own.loses, 2.0) and near(noisy.loses, 2.0) and near(alone.loses, 0.0)


def test_injected_noise_has_a_learning_rate_of_its_own() -> None:
    own, noisy, _ = control(Causes(noise=0.5).result, "noise").rows
    assert noisy.learning_rate == pytest.approx(0.05, rel=0.1)
    assert own.learning_rate == pytest.approx(0.2, rel=0.1)


def test_two_equal_arms_are_tuned_separately_and_judged_equal() -> None:
    record, findings = studied(Causes().result, controls=("aa",))
    found = findings.controls[0]
    tuned = {one.settings.replica for one in record.trials if one.settings.purpose == "tune"}
    assert tuned == {0, 1, 2}
    assert [row.batch_size for row in found.rows] == [32, 32]
    assert found.as_expected is True
    assert found.sentence.endswith("they are not told apart, as it must be.")


def test_arms_that_are_told_apart_although_they_are_equal_are_the_first_warning() -> None:
    def biased(settings: TrialSettings) -> TrialResult:
        result = Causes().result(settings)
        extra = 0.05 * (settings.replica == 2)
        return dataclasses.replace(result, valid_metric=result.valid_metric + extra)

    _, findings = studied(biased, controls=("aa",))
    found = findings.controls[0]
    assert found.as_expected is False
    assert findings.answer.warnings[0] == found.sentence
    assert "which is false; it happens by chance in one study of 20" in found.sentence


def test_permuted_labels_show_no_difference() -> None:
    found = control(Causes(updates=0.5).result, "random-labels")
    assert found.as_expected is True
    assert [row.batch_size for row in found.rows] == [8, 32, 128]
    assert found.sentence == (
        "Random labels: the same study on permuted labels tells none of its 3 batch sizes from another, nor any from a "
        "constant guess, as it must be."
    )


def test_a_leak_of_labels_is_told() -> None:
    def leaking(settings: TrialSettings) -> TrialResult:
        result = Causes().result(settings)
        error = 0.5 + 0.1 * (settings.batch_size > 8) if settings.permute_labels else result.valid_metric
        return dataclasses.replace(result, valid_metric=error + result.valid_metric / 100)

    found = control(leaking, "random-labels")
    assert found.as_expected is False
    assert found.sentence.startswith(
        "Random labels: on permuted labels 32 and 128 are said to be worse, which is false;"
    )


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_leave_the_answer_of_the_study_as_it_is(name: str) -> None:
    _, plain = studied(Causes(updates=0.5).result, controls=())
    _, with_control = studied(Causes(updates=0.5).result, controls=(name,))
    assert with_control.answer == plain.answer
    assert with_control.batch_sizes == plain.batch_sizes
    assert with_control.learning_rate_response == plain.learning_rate_response


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_without_its_trials_says_how_to_go_on(name: str) -> None:
    record, _ = studied(Causes().result, controls=())
    asked = dataclasses.replace(record, spec=dataclasses.replace(record.spec, controls=(name,)))
    found = analyze_study(asked).controls[0]
    assert found.sentence == f"The control {name} has not finished; `batchlab resume` goes on."
    assert found.as_expected is None


@pytest.mark.parametrize("name", ["lr", "equal-updates", "extra-training", "noise"])
def test_a_control_needs_two_sizes_that_trained(name: str) -> None:
    def diverging(settings: TrialSettings) -> TrialResult:
        result = Causes().result(settings)
        return dataclasses.replace(result, status="diverged") if settings.batch_size > 8 else result

    found = control(diverging, name)
    assert found.sentence in (
        f"The control {name} cannot be judged: fewer than two batch sizes trained to the end.",
        "Injected noise: with that of 8, 128 cannot train.",
    )


def test_an_arm_that_diverges_is_said_to() -> None:
    def hot(settings: TrialSettings) -> TrialResult:
        result = Causes().result(settings)
        is_scaled = settings.purpose == "control" and settings.batch_size == 128 and settings.learning_rate > 0.5
        return dataclasses.replace(result, status="diverged", valid_metric=float("nan")) if is_scaled else result

    found = control(hot, "lr")
    assert "diverges at that rate scaled (linear)" in found.sentence
    assert (found.rows[-2].loses, found.rows[-2].flags) == (None, ("diverged",))


def test_without_three_seeds_there_are_no_intervals() -> None:
    found: ControlFindings = control(Causes(updates=0.5).result, "equal-updates", seeds=2)
    assert found.rows[0].loses is not None and found.rows[0].loses.low is None
    assert "too_few_seeds" in found.rows[0].flags
    assert " (" not in found.sentence.split(" (on ")[0]
