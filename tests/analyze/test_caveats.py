import dataclasses

from batchlab.analyze.study import analyze_study
from batchlab.records import Current, StudyRecord
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, World, spec

WORLD = World({8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05, 256: 0.06})
NORMALIZED = dataclasses.replace(INFO, batch_norm="features.1")


def warnings(info=NORMALIZED, **changes: object) -> tuple[str, ...]:
    """Return the warnings about batch norm of a finished study at one learning rate."""
    question = spec(lr_mode="fixed", **changes)
    executor = InstantExecutor(WORLD.result)
    record: StudyRecord = run_study(question, info, name="s", store=MemoryStore(), executor=executor, progress=Quiet())
    return tuple(one for one in analyze_study(record).answer.warnings if one.startswith("Batch norm"))


def test_batch_norm_that_saw_parts_of_some_batches_is_warned_of_with_a_way_out() -> None:
    assert warnings(micro_batch_size=32) == (
        "Batch norm (module features.1) saw micro-batches of 32 examples at batch size 64 and 32 examples at batch "
        "size 128: sizes that were split are not what they would be in one pass. `--micro-batch-size 8` normalizes "
        "alike at every size.",
    )


def test_one_micro_batch_size_for_all_needs_no_way_out() -> None:
    assert warnings(micro_batch_size=8, batch_sizes=(8, 16)) == (
        "Batch norm (module features.1) saw micro-batches of 8 examples at batch size 16: sizes that were split are "
        "not what they would be in one pass.",
    )


def test_todays_setting_is_looked_at_too() -> None:
    assert "128 examples at batch size 256" in warnings(micro_batch_size=128, current=Current(256, 0.1))[0]


def test_without_batch_norm_or_without_a_split_there_is_nothing_to_warn_of() -> None:
    assert warnings(INFO, micro_batch_size=32) == ()
    assert warnings() == ()
