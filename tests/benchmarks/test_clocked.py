from contextlib import closing

from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from clocked import Clocked
from instant import Instant
from simulated import INFO, spec


def test_every_trial_of_a_study_has_its_times() -> None:
    clocked = Clocked(Instant(places=2))
    question = spec(lr_mode="fixed", base_lr=0.1, batch_sizes=(8, 16), seeds=3)
    with closing(MemoryStore()) as store:
        record = run_study(question, INFO, name="s", store=store, executor=clocked, progress=Quiet())
    assert len(record.trials) == len(clocked.sent) == 6
    assert all(clocked.sent[key] <= clocked.back[key] <= clocked.asked_to_time for key in clocked.sent)
    assert clocked.seconds > 0
