import dataclasses

import pytest

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.study import analyze_study
from batchlab.records import Budget, Schedule, StudyRecord, to_json
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, TargetWorld, spec

SIZES = (8, 16, 32, 64, 128, 256, 512)
WORLD = TargetWorld(sd=0.02)


def record(world: TargetWorld = WORLD, **changes: object) -> StudyRecord:
    """Return a finished study of a world with a target; a step takes 1 ms and 10 microseconds an example."""
    plain = {"lr_mode": "fixed", "target": world.target, "batch_sizes": SIZES, "budget": Budget("examples", 25_000)}
    executor = InstantExecutor(world.result)
    return run_study(
        spec(**(plain | changes)), INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet()
    )


@pytest.fixture(scope="module")
def findings() -> StudyFindings:
    """Return the findings of one study."""
    return analyze_study(record())


def test_rows_hold_steps_examples_and_seconds_to_the_target(findings: StudyFindings) -> None:
    for row in findings.batch_sizes:
        expected = 30 * (1 + 64 / row.batch_size)
        assert row.steps_to_target is not None and row.examples_to_target is not None
        assert row.seconds_to_target is not None
        assert row.steps_to_target.mean == pytest.approx(expected, rel=0.1)
        assert row.examples_to_target.mean == pytest.approx(row.batch_size * row.steps_to_target.mean)
        assert row.seconds_to_target.mean == pytest.approx((1e-3 + 1e-5 * row.batch_size) * row.steps_to_target.mean)
        assert row.n_reached == 5


def test_the_fastest_size_is_the_one_of_the_closed_form(findings: StudyFindings) -> None:
    # sqrt(a B_crit/b) = sqrt(100 * 64) = 80, between 64 and 128.
    found = findings.to_target
    assert found is not None
    assert found.fastest_batch_size in (64, 128)
    assert found.as_fast_batch_sizes is not None
    assert {8, 512}.isdisjoint(found.as_fast_batch_sizes)


def test_sizes_larger_than_the_fastest_cost_more_of_both(findings: StudyFindings) -> None:
    assert findings.to_target is not None
    thrifty = findings.to_target.thrifty_batch_sizes
    assert {8, 16, 32} <= set(thrifty) and {256, 512}.isdisjoint(thrifty)


def test_a_size_with_a_seed_out_of_budget_may_still_be_shown_to_be_slower() -> None:
    world = TargetWorld(sd=0.02, least_steps=43.0)
    found = analyze_study(record(world, seeds=8))
    flags = {row.batch_size: row.flags for row in found.batch_sizes}
    assert found.to_target is not None
    assert any("target_not_reached" in one or "censored" in one for one in flags.values())
    assert found.to_target.as_fast_batch_sizes is not None
    assert 512 not in found.to_target.as_fast_batch_sizes


def test_few_seeds_show_nobody_to_be_slower() -> None:
    found = analyze_study(record(seeds=2)).to_target
    assert found is not None and found.as_fast_batch_sizes is None


def test_a_target_nobody_reaches_is_said_and_leaves_everything_else_as_it_is() -> None:
    finished = record()
    harder = dataclasses.replace(finished, spec=dataclasses.replace(finished.spec, target=1e-3))
    plain = dataclasses.replace(finished, spec=dataclasses.replace(finished.spec, target=None))
    hard, none = analyze_study(harder), analyze_study(plain)
    assert hard.to_target is not None
    assert hard.to_target.sentences == ("No batch size reached error 0.1% within the budget in most of its seeds.",)
    assert hard.answer == none.answer
    assert (none.to_target, none.tradeoff, none.target) == (None, None, None)
    assert all(row.n_reached is None for row in none.batch_sizes)


def test_notes_say_what_steps_to_a_target_depend_on() -> None:
    def notes(**changes: object) -> str:
        return " ".join(analyze_study(record(**changes)).notes)

    assert "tuned for the end of the budget" in notes(lr_mode="tune", batch_sizes=(8, 32, 128))
    assert "falls with the budget (cosine)" in notes(schedule=Schedule("cosine"))
    assert "evaluated further apart in examples" in notes(budget=Budget("steps", 400))
    assert "target" not in notes(target=None)


def test_the_json_has_the_fields_that_stay(findings: StudyFindings) -> None:
    data = to_json(findings, non_finite=lambda _: None)
    assert {"critical_batch_size", "low", "high", "flags"} <= set(data["tradeoff"])
    assert set(data["batch_sizes"][0]["steps_to_target"]) == {"mean", "low", "high"}
    assert data["target"] == WORLD.target
