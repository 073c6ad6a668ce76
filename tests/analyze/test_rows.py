import dataclasses

import pytest

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.rows import micro_batch_size_of
from batchlab.analyze.study import analyze_study
from batchlab.records import StudyRecord, TrialResult
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.plan import trial_settings
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, World, spec

WORLD = World({8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05, 300: 0.05})


def record(**changes: object) -> StudyRecord:
    """Return a finished study at one learning rate."""
    question = spec(lr_mode="fixed", **changes)
    executor = InstantExecutor(WORLD.result)
    return run_study(question, INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet())


def splits(findings: StudyFindings) -> dict[int, tuple[int, int]]:
    """Return micro-batch size and accumulation steps of every batch size."""
    return {row.batch_size: (row.micro_batch_size, row.gradient_accumulation_steps) for row in findings.batch_sizes}


def test_rows_say_how_batches_went_through_the_model() -> None:
    found = splits(analyze_study(record(micro_batch_size=48, batch_sizes=(16, 64, 128, 300))))
    assert found == {16: (16, 1), 64: (48, 2), 128: (48, 3), 300: (48, 7)}


def test_results_that_do_not_say_went_through_whole() -> None:
    found = record()
    old = tuple(dataclasses.replace(one, micro_batch_size=0) for one in found.trials)
    assert splits(analyze_study(dataclasses.replace(found, trials=old)))[64] == (64, 1)


@pytest.mark.parametrize(("sizes", "expected"), [((64, 16, 16), 16), ((64, 64, 16), 64), ((16, 64), 64), ((0, 0), 64)])
def test_where_only_some_trials_were_split_most_of_them_decide(sizes: tuple[int, ...], expected: int) -> None:
    plain = WORLD.result(trial_settings(spec(), INFO, 64, 0.1, 0, "confirm"))
    trials: list[TrialResult] = [dataclasses.replace(plain, micro_batch_size=size) for size in sizes]
    assert micro_batch_size_of(trials) == expected
