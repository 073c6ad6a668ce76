"""Two people, two studies, one store: trials that both want are made once."""

import threading
import time
from collections import Counter
from contextlib import closing

import pytest

from batchlab.errors import StudyRunning
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.plan import trial_id
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.store_opening import open_store
from simulated import INFO, InstantExecutor, World, spec

WORLD = World({8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05})
QUESTIONS = {"narrow": spec(lr_mode="fixed", seeds=4), "wide": spec(lr_mode="fixed", seeds=6)}


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    return str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_address")


def slow(settings):
    time.sleep(0.002)
    return WORLD.result(settings)


def run(name, store, respond=slow):
    executor = InstantExecutor(respond)
    record = run_study(QUESTIONS[name], INFO, name=name, store=store, executor=executor, progress=Quiet())
    return record, executor.ran


def outcome(record):
    return sorted((trial_id(one.settings), one.valid_metric) for one in record.trials)


def test_two_studies_at_once_make_shared_trials_once(address, monkeypatch):
    monkeypatch.setattr("batchlab.studies.run.SECONDS_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr("batchlab.studies.run.SECONDS_BETWEEN_UPDATES", 0.02)
    open_store(address).close()
    begin, found = threading.Barrier(2), {}

    def work(name):
        with closing(open_store(address)) as store:
            begin.wait()
            found[name] = run(name, store)

    threads = [threading.Thread(target=work, args=(name,)) for name in QUESTIONS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ran = Counter(trial_id(settings) for _, settings_ran in found.values() for settings in settings_ran)
    assert set(ran.values()) == {1}
    assert len(ran) == 5 * 6
    assert all(ran_here for _, ran_here in found.values())
    for name, (record, _) in found.items():
        assert outcome(record) == outcome(run(name, MemoryStore())[0])


def test_what_another_driver_gives_up_is_made_here(address, monkeypatch):
    monkeypatch.setattr("batchlab.studies.run.SECONDS_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr("batchlab.studies.run.SECONDS_BETWEEN_UPDATES", 0.02)
    with closing(open_store(address)) as store, closing(open_store(address)) as other:
        wanted = {trial_id(settings) for settings in run("narrow", MemoryStore())[1]}
        other.save_study("other", "other", spec(), INFO)
        claim = other.claim("other")
        taker = claim.__enter__()
        assert all([taker.take(key) for key in [*wanted][:3]])
        ending = threading.Timer(0.1, claim.__exit__, (None, None, None))
        ending.start()
        record, ran = run("narrow", store)
        ending.join()
    assert len(ran) == len(wanted) == len(record.trials)


def test_a_second_driver_of_a_study_is_refused_and_the_first_goes_on(address):
    refused = []

    def respond(settings):
        if not refused:
            with closing(open_store(address)) as second, pytest.raises(StudyRunning) as caught:
                run("narrow", second)
            refused.append(caught.value)
        return WORLD.result(settings)

    with closing(open_store(address)) as store:
        record, ran = run("narrow", store, respond)
    assert outcome(record) == outcome(run("narrow", MemoryStore())[0])
    assert len(ran) == len(record.trials)
    assert "has worked on 'narrow' since" in str(refused[0])
