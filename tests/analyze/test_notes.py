import dataclasses

from batchlab.analyze.notes import threads_notes
from batchlab.analyze.study import analyze_study
from batchlab.records import StepTime, StudyRecord, WorkloadInfo
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, World, spec

FLOORS = {8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05}


def record(info: WorkloadInfo = INFO, **changes: object) -> StudyRecord:
    """Return a finished study at one learning rate in a world of these properties."""
    executor = InstantExecutor(World(FLOORS, **changes).result)  # type: ignore[arg-type]
    question = spec(lr_mode="fixed")
    return run_study(question, info, name="s", store=MemoryStore(), executor=executor, progress=Quiet())


def test_what_the_workload_has_to_say_is_among_the_notes() -> None:
    said = ("Every seed starts from the same weights.", "Items are random.")
    notes = analyze_study(record(dataclasses.replace(INFO, notes=said))).notes
    assert set(said) <= set(notes)


def test_training_that_waits_for_data_is_noted_once() -> None:
    noted = [note for note in analyze_study(record(waiting=0.8)).notes if note.startswith("Loading")]
    assert len(noted) == 1
    assert not any(note.startswith("Loading") for note in analyze_study(record(waiting=0.2)).notes)


def step_time(batch_size: int, threads: int, available: int) -> StepTime:
    """Return a step time that took so many threads of those there are."""
    return StepTime(batch_size, 1e-3, 9e-4, 1.1e-3, 5, threads, "cpu", available)


def test_steps_that_fewer_threads_make_faster_are_noted() -> None:
    times = [step_time(8, 1, 8), step_time(16, 1, 8), step_time(64, 2, 8), step_time(512, 8, 8)]
    assert threads_notes(times) == [
        "Fewer threads than the machine's 8 make faster steps at some batch sizes, and seconds are those of the "
        "fastest number (1 at 8 and 16; 2 at 64): a script of your own is as fast with torch.set_num_threads."
    ]


def test_steps_that_use_all_threads_need_no_note() -> None:
    assert threads_notes([step_time(8, 2, 2), StepTime(16, 1e-3, 9e-4, 1.1e-3, 5, 2, "cpu")]) == []
