import dataclasses
import math

import pytest

from batchlab.analyze.prepared import Prepared, prepare
from batchlab.analyze.target import NO_TARGET, examples_per_step, reach_of, runs_to_target
from batchlab.analyze.target_findings import TargetRun
from batchlab.records import Curve, StudyRecord, TrialResult, TrialSettings
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, TargetWorld, World, spec

SIZES = (8, 16, 32, 64, 128)


def study_of(metric: tuple[float, ...], status: str = "done", *, higher: bool = False, target: float = 0.1) -> Prepared:
    """Return a prepared study in which every trial has this curve, at 0, 10, 20, ... steps."""
    steps = tuple(10 * index for index in range(len(metric)))

    def respond(settings: TrialSettings) -> TrialResult:
        plain = World(dict.fromkeys(SIZES, 0.02)).result(settings)
        examples = tuple(step * settings.batch_size for step in steps)
        curve = Curve(examples, steps, (0.1,) * len(steps), metric, metric, metric)
        return dataclasses.replace(plain, curve=curve, status=status)

    info = dataclasses.replace(INFO, higher_is_better=higher)
    question = spec(lr_mode="fixed", seeds=1, target=target)
    executor = InstantExecutor(respond)
    return prepare(run_study(question, info, name="s", store=MemoryStore(), executor=executor, progress=Quiet()))


def record(world: TargetWorld, **changes: object) -> StudyRecord:
    """Return a finished study of a world with a target."""
    executor, question = InstantExecutor(world.result), spec(lr_mode="fixed", target=world.target, **changes)
    return run_study(question, INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet())


def run(status: str, steps: float | None = None, low: float = 0.0) -> TargetRun:
    return TargetRun(8, 0, status, low, math.inf, steps)


@pytest.mark.parametrize(
    ("metric", "trial", "expected", "low", "high"),
    [
        ((0.9, 0.3, 0.2, 0.05), "done", "reached", 20.0, 30.0),
        ((0.9, 0.3, 0.2, 0.15), "done", "not_reached", 30.0, math.inf),
        ((0.9, *(0.3,) * 12), "done", "plateaued", 120.0, math.inf),
        ((0.9, 0.3, math.nan), "diverged", "diverged", 10.0, math.inf),
        ((0.9, 0.05, math.nan), "diverged", "reached", 0.0, 10.0),
        ((0.05, 0.05), "done", "trivial", 0.0, 0.0),
    ],
)
def test_a_run_ends_in_one_of_five_ways(
    metric: tuple[float, ...], trial: str, expected: str, low: float, high: float
) -> None:
    found = runs_to_target(study_of(metric, trial))[32][0]
    assert (found.status, found.low, found.high) == (expected, low, high)


def test_the_target_of_an_accuracy_is_reached_from_below() -> None:
    found = runs_to_target(study_of((0.1, 0.8, 0.95), higher=True, target=0.9))[32][0]
    assert (found.status, found.low, found.high) == ("reached", 10.0, 20.0)


def test_without_a_target_there_are_no_runs_and_rows_stay_empty() -> None:
    question = record(TargetWorld())
    plain = dataclasses.replace(question, spec=dataclasses.replace(question.spec, target=None))
    assert runs_to_target(prepare(plain)) == {}
    assert (NO_TARGET.n_reached, NO_TARGET.steps, NO_TARGET.flags) == (None, None, ())


def test_more_than_half_of_the_seeds_must_get_there() -> None:
    two = [run("reached", 100.0), run("reached", 120.0)]
    enough = reach_of([*two, run("not_reached", low=150.0)], 8.0, 0.01, 0.95)
    short = reach_of([*two, run("not_reached", low=150.0), run("not_reached", low=150.0)], 8.0, 0.01, 0.95)
    assert (enough.n_reached, enough.flags) == (2, ("censored",))
    assert enough.steps is not None and enough.steps.mean > 110.0
    assert (short.n_reached, short.steps, short.flags) == (2, None, ("target_not_reached",))


def test_runs_that_level_off_are_told_apart_from_those_out_of_budget() -> None:
    found = reach_of([run("reached", 100.0), run("reached", 100.0), run("plateaued", low=500.0)], 8.0, 0.01, 0.95)
    assert found.flags == ("plateaued",)
    assert found.steps is not None and found.steps.mean == pytest.approx(100.0)


def test_examples_and_seconds_are_steps_times_what_a_step_takes() -> None:
    found = reach_of([run("reached", steps) for steps in (80.0, 100.0, 125.0)], 8.0, 0.01, 0.95)
    assert found.steps is not None and found.examples is not None and found.seconds is not None
    assert found.steps.mean == pytest.approx(100.0)
    assert found.examples.low == pytest.approx(8 * (found.steps.low or 0.0))
    assert (found.seconds.mean, found.seconds.high) == pytest.approx((1.0, 0.01 * (found.steps.high or 0.0)))


def test_without_a_step_time_there_are_no_seconds() -> None:
    assert reach_of([run("reached", 100.0)], 8.0, None, 0.95).seconds is None


def test_short_batches_that_are_kept_count_as_they_are() -> None:
    one = World(dict.fromkeys(SIZES, 0.02)).result(prepare(record(TargetWorld())).confirmed[64][0].settings)
    assert examples_per_step([dataclasses.replace(one, examples=1000, steps=20)]) == 50.0


def test_a_trial_is_the_same_whatever_its_target() -> None:
    found = [record(TargetWorld(), seeds=2).trials for _ in range(2)]
    assert found[0] == found[1]
