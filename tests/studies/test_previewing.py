from typing import Any

import pytest

from batchlab.analyze.preview import Preview, Span
from batchlab.records import StudySpec, TrialResult
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.plan import plan, trial_id
from batchlab.studies.previewing import outlook_of, preview_of
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.trial_costs import TrialCost
from simulated import INFO, InstantExecutor, World, spec

SIZES = (8, 16, 32, 64, 128)
WORLD = World(dict.fromkeys(SIZES, 0.1), best_rate=lambda size: 0.1 * (size / 32) ** 0.5)


def preview(asked: StudySpec, stored: dict[str, TrialResult] | None = None) -> Preview:
    """Return the preview with trials of 2 s, two at a time."""
    known = stored or {}
    outlook = outlook_of(asked, INFO, lambda ids: {key: known[key] for key in ids if key in known})
    costs = dict.fromkeys(SIZES, TrialCost(0.0, 0.0, 0.0)) | {8: TrialCost(2 / 512, 0.0, 0.0)}
    return preview_of(outlook, costs, name="mine", workers=2, timed_by="timing")


def trials_of(asked: StudySpec, world: World) -> int:
    """Return how many trials the study makes."""
    store = MemoryStore()
    run = run_study(asked, INFO, name="s", store=store, executor=InstantExecutor(world.result), progress=Quiet())
    return len(run.trials)


def test_a_study_without_a_search_has_a_known_number_of_trials() -> None:
    asked = spec(lr_mode="fixed", seeds=4)
    assert preview(asked).trials == Span(20, 20) == Span(*[trials_of(asked, WORLD)] * 2)


@pytest.mark.parametrize("octaves", [0, 1, 3])
def test_the_trials_of_a_search_lie_within_the_span_wherever_the_best_rates_are(octaves: int) -> None:
    world = World(WORLD.floors, best_rate=lambda size: 2**octaves * WORLD.best_rate(size), noise=0.0005)
    span = preview(spec()).trials
    assert span.low <= trials_of(spec(), world) <= span.high
    assert span.low < span.high


@pytest.mark.parametrize(("changes", "low", "high"), [({}, 15, 15), ({"max_seeds": 8}, 15, 40)])
def test_seeds_that_may_be_added_are_in_the_span(changes: dict[str, Any], low: int, high: int) -> None:
    found = preview(spec(lr_mode="fixed", seeds=3, **changes))
    assert (found.stages[0].name, found.trials) == ("comparing", Span(low, high))


def test_trials_of_the_store_are_not_run_again_and_steer_the_search() -> None:
    store = MemoryStore()
    run_study(spec(), INFO, name="s", store=store, executor=InstantExecutor(WORLD.result), progress=Quiet())
    stored = {trial_id(one.settings): one for one in store.study(store.find("s")).trials}
    found = preview(spec(), stored)
    assert (found.trials, found.seconds) == (Span(0, 0), Span(0.0, 0.0))
    assert sum(stage.stored for stage in found.stages) == len(stored)
    more = preview(spec(seeds=7), stored)
    assert more.trials == Span(10, 10)


def test_seconds_are_those_of_all_workers_together() -> None:
    found = preview(spec(lr_mode="fixed", seeds=3))
    assert found.stages[0].trial_seconds == Span(6.0, 6.0)
    assert found.seconds == Span(3.0, 3.0)


def test_each_batch_size_has_its_steps_and_the_rates_it_begins_with() -> None:
    row = preview(spec()).batch_sizes[0]
    first = {one.learning_rate for one in plan(spec(), INFO, {}).trials if one.batch_size == 8}
    assert (row.batch_size, row.n_steps, row.trial_seconds) == (8, 512, pytest.approx(2.0))
    assert row.learning_rates == tuple(sorted(first))


def test_what_seeds_tell_apart_is_in_standard_deviations_until_trials_show_one() -> None:
    assert preview(spec()).power.startswith("5 seeds can tell about 2 standard deviations of a score apart")
    store = MemoryStore()
    run_study(spec(seeds=3), INFO, name="s", store=store, executor=InstantExecutor(WORLD.result), progress=Quiet())
    stored = {trial_id(one.settings): one for one in store.study(store.find("s")).trials}
    assert "points of validation error apart" in preview(spec(), stored).power


def test_a_preview_says_how_several_settings_are_tuned() -> None:
    asked = spec(tune=("momentum",), tuning_trials=12)
    found = preview(asked)
    assert found.trials == Span(16 * 5 + 25, 16 * 5 + 25)
    assert (
        "Tuned at once, at each batch size: learning rate and momentum, with 12 settings picked by quasi-random"
        in (found.notes[0])
    )
    middle = found.batch_sizes[2].learning_rates
    assert middle[1] / middle[0] == pytest.approx(2**8, rel=0.01)
