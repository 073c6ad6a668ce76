import dataclasses
import functools
import json

import pytest

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.study import analyze_study
from batchlab.records import StudyRecord, TrialResult, to_json
from race_cases import SIZES, finished, harmonic, soft
from search_worlds import World

# E = 4000 (1 + B/100) and 100 + B a step: the least time lies at B = 100.
WORLD = soft()


@functools.cache
def record() -> StudyRecord:
    return finished(WORLD)


@functools.cache
def findings() -> StudyFindings:
    return analyze_study(record())


def recovered(world: World) -> dict[int, float]:
    """Return the steps to the target that a race finds at every size."""
    found = analyze_study(finished(world, confirm="all", seeds=10, batch_sizes=world.sizes))
    return {row.batch_size: row.steps_to_target.mean for row in found.batch_sizes if row.steps_to_target is not None}


def test_the_answer_is_the_size_that_is_soonest_at_the_target() -> None:
    answer = findings().answer
    assert answer.recommended is not None
    assert answer.best_batch_size in (64, 128)
    assert answer.sentence.startswith(f"Use batch size {answer.best_batch_size} with learning rate 0.")
    assert "it reaches loss 0.0644394 soonest, in" in answer.sentence
    assert answer.recommended.why == "it reaches loss 0.0644394 soonest"


def test_times_are_those_of_the_truth() -> None:
    for row in findings().batch_sizes:
        true = WORLD.seconds_to_target(row.batch_size, WORLD.best_rate(row.batch_size))
        assert row.seconds_to_target is not None
        assert row.seconds_to_target.mean == pytest.approx(true, rel=0.12)


def test_sizes_that_are_out_are_named_with_the_reason_and_are_worse() -> None:
    found, answer = findings().race, findings().answer
    assert found is not None
    dropped = {one.batch_size for one in found.dropped}
    confirmed = {row.batch_size for row in findings().batch_sizes}
    assert dropped and dropped | confirmed == set(SIZES) and not dropped & confirmed
    assert dropped <= set(answer.worse_batch_sizes)
    assert all(one.cost_ratio_low > 1.05 and one.n_trials >= 1 for one in found.dropped)
    assert "not confirmed, as scouting shows them slower by more than 5%" in answer.confidence
    assert any("Not confirmed, as even an optimistic limit of their seconds" in note for note in findings().notes)


def test_most_of_the_budget_is_saved() -> None:
    found = findings().race
    assert found is not None
    assert found.examples < found.full_examples / 2
    assert found.examples == sum(one.examples for one in record().trials)


def test_the_best_learning_rate_goes_with_the_square_root_here() -> None:
    exponent = findings().learning_rate_exponent
    assert exponent is not None
    assert exponent.low < 0.5 < exponent.high
    assert exponent.high - exponent.low < 0.4


def test_other_budgets_and_the_response_of_the_loss_are_not_spoken_of() -> None:
    assert set(findings().under_other_budgets.values()) == {None}
    assert findings().learning_rate_response == ()
    assert not any("Equal examples" in warning for warning in findings().answer.warnings)


def test_findings_are_plain_json() -> None:
    plain = to_json(findings(), non_finite=lambda _: None)
    assert json.loads(json.dumps(plain, allow_nan=False))["race"]["objective"] == "seconds"


def test_a_race_under_way_says_what_is_missing() -> None:
    scouting = tuple(one for one in record().trials if one.settings.purpose == "tune")
    found = analyze_study(dataclasses.replace(record(), trials=scouting))
    assert found.answer.sentence == "No answer yet: no batch size has been confirmed at its learning rate."
    assert found.answer.warnings[0].startswith("Not finished: trials are missing at batch size")


def test_a_target_that_nobody_reaches_is_said() -> None:
    answer = analyze_study(finished(soft(target=1e-9))).answer
    assert answer.verdict == "no-signal"
    assert answer.sentence == (
        "No batch size can be recommended: none reached loss 1e-09 within the budget in most of its seeds; choose an "
        "easier target or a longer budget."
    )
    assert not any("Not finished" in warning for warning in answer.warnings)


def test_a_best_size_at_the_end_of_the_range_is_said_to_be_there() -> None:
    answer = analyze_study(finished(soft(critical=1e5, step_overhead=1e5))).answer
    assert answer.verdict == "edge-of-range"
    assert "the only best size, 1024, is the largest tried" in answer.sentence


def test_without_step_times_examples_decide() -> None:
    found = analyze_study(dataclasses.replace(finished(WORLD, confirm="all"), step_times=()))
    assert found.race is not None and found.race.objective == "examples"
    assert found.answer.recommended is not None
    assert found.answer.recommended.why.endswith("with the fewest examples")
    assert found.answer.best_batch_size in (8, 16)


def test_equal_arms_are_not_told_apart() -> None:
    answer = analyze_study(finished(WORLD, same_batch_size=32)).answer
    assert answer.worse_batch_sizes == ()


def test_the_tuned_steps_of_the_closed_form_are_recovered_within_5_percent_at_every_batch_size() -> None:
    """Sizes from 1/26 of the critical one to 2.5 times it; the pace has noise of 3%, so 1% in the mean of 10 seeds."""
    world = harmonic(seed_sd=0.0, own_sd=0.03, sizes=(4, 16, 64, 256), step_overhead=1000.0)
    # d = 100, target 0.05, over 120 learning rates: as in the tests of the simulator.
    assert recovered(world) == pytest.approx({4: 1101, 16: 292, 64: 95, 256: 54}, rel=0.05)


def test_runs_that_take_longer_than_scouting_led_to_expect_are_told() -> None:
    said = "Confirmed runs took longer than scouting led to expect at batch size"
    assert not any(note.startswith(said) for note in findings().notes)
    best = findings().answer.best_batch_size

    def slower(one: TrialResult) -> TrialResult:
        if one.settings.purpose != "confirm" or one.settings.batch_size != best:
            return one
        steps = tuple(2 * step for step in one.curve.steps)
        return dataclasses.replace(one, curve=dataclasses.replace(one.curve, steps=steps), examples=2 * one.examples)

    changed = dataclasses.replace(record(), trials=tuple(map(slower, record().trials)))
    notes = [note for note in analyze_study(changed).notes if note.startswith(said)]
    assert len(notes) == 1 and f"{best} (" in notes[0]
