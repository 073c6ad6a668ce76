import dataclasses

from batchlab.analyze.study import analyze_study
from batchlab.records import StudyRecord, WorkloadInfo
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.store import MemoryStore
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
