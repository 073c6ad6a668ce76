import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from batchlab.errors import StoreError
from batchlab.records import (
    Budget,
    Curve,
    Schedule,
    StudySpec,
    TrialResult,
    TrialSettings,
    WorkloadInfo,
    to_json,
)
from batchlab.studies import driver
from batchlab.studies.store_opening import open_store

SPEC = StudySpec("digits-mlp", (8,), Budget("steps", 10.0), "fixed", 0.1, 8, "sgd", ())
INFO = WorkloadInfo(
    "digits-mlp", "digits-mlp", "f00", 10, 5, 5, 3, "error", False, 0.1, False, "example", "sgd", (), 8, 1.0, False
)
SETTINGS = TrialSettings(
    "digits-mlp", "f00", 8, 0.1, 10, "sgd", (), Schedule(), "carry", (0,), 0, 0, 0, "confirm", "cpu"
)
POINTS = 200
CURVE = Curve(tuple(range(POINTS)), tuple(range(POINTS)), *((0.123456789012345,) * POINTS for _ in range(4)))
RESULT = TrialResult(SETTINGS, "done", CURVE, 80, 10, 0.4, 0.1, 0.9, 0.3, 0.1, None, None, 1.5, "here", ())

WRITER = """
import json, sys
from batchlab.records import TrialResult, from_json
from batchlab.studies.store_opening import open_store
path, worker, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
result = from_json(TrialResult, json.load(sys.stdin))
store = open_store(path)
for index in range(count):
    store.add_results("one", {f"{worker}-{index}": result})
    print(index, flush=True)
"""

ELSEWHERE = "name another store with `--store`."


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batchlab.db"


@pytest.fixture
def store(path):
    store = open_store(path)
    store.save_study("one", "digits", SPEC, INFO)
    yield store
    store.close()


@pytest.fixture
def unprivileged():
    """A folder of a user who is bound by permissions, and that user's life."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            folder.chmod(stat.S_IRWXU)
            if os.getuid() == 0:
                os.seteuid(0)


def refusal(path, **options):
    with pytest.raises(StoreError) as caught:
        open_store(path, **options).close()
    return str(caught.value)


def start_writer(path, worker, count):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(worker), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process.stdin as stdin:
        json.dump(to_json(RESULT), stdin)
    return process


def test_four_processes_lose_nothing(store, path):
    processes = [start_writer(path, worker, 50) for worker in range(4)]
    for process in processes:
        with process.stdout as stdout:
            stdout.read()
        assert process.wait() == 0
    wanted = {f"{worker}-{index}" for worker in range(4) for index in range(50)}
    assert set(store.results(wanted)) == wanted
    assert len(store.study("one").trials) == 200


def test_many_processes_can_make_the_store_at_once(path):
    command = [
        sys.executable,
        "-c",
        "import sys, batchlab.studies.store_opening as s; s.open_store(sys.argv[1])",
        str(path),
    ]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_in_the_middle_of_writing_loses_nothing_acknowledged(store, path):
    process = start_writer(path, 0, 100_000)
    acknowledged = [int(process.stdout.readline()) for _ in range(20)]
    process.kill()
    with process.stdout as stdout:
        acknowledged += [int(line) for line in stdout.read().split()]
    process.wait()
    trials = store.study("one").trials
    assert len(trials) in (len(acknowledged), len(acknowledged) + 1)
    assert {json.dumps(to_json(trial)) for trial in trials} == {json.dumps(to_json(RESULT))}


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_study_whose_driver_was_killed_can_be_claimed_at_once(store, path):
    script = (
        "import sys, time\nfrom batchlab.studies.store_opening import open_store\n"
        "with open_store(sys.argv[1]).claim('one'): print('at work', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    with process.stdout as stdout:
        stdout.readline()
        assert store.studies()[0].driver.pid == process.pid
        process.kill()
    process.wait()
    assert store.studies()[0].driver is None
    with store.claim("one"):
        assert store.studies()[0].driver.pid == os.getpid()


def test_a_store_is_the_same_when_opened_again(store, path):
    store.add_results("one", {"t": RESULT})
    with closing(open_store(f"sqlite:///{path}", create=False)) as again:
        assert again.study("one") == store.study("one")


def test_a_full_disk_says_so_and_keeps_what_was_stored(path):
    def limit(connection, _):
        connection.execute("PRAGMA max_page_count = 60")

    sa.event.listen(sa.Engine, "connect", limit)
    try:
        with closing(open_store(path)) as store:
            store.save_study("one", "digits", SPEC, INFO)
            stored = []
            with pytest.raises(StoreError) as caught:
                for index in range(100):
                    store.add_results("one", {str(index): RESULT})
                    stored.append(str(index))
    finally:
        sa.event.remove(sa.Engine, "connect", limit)
    assert str(caught.value) == (
        f"The store {path} needs room for the next record, and its disk is full; nothing is lost so far: free some "
        "space, then run `batchlab resume`."
    )
    with closing(open_store(path)) as store:
        assert stored
        assert set(store.results(map(str, range(100)))) == set(stored)
        assert len(store.study("one").trials) == len(stored)


def test_the_write_ahead_log_is_on(store, path):
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("content", ["", None])
def test_a_missing_store_is_not_made_by_a_reader(path, content):
    if content is not None:
        path.write_text(content)
    assert refusal(path, create=False) == (
        f"A store was expected at {path}, and there is none; start a study with `batchlab study`, or {ELSEWHERE}"
    )
    assert content is not None or not path.exists()


@pytest.mark.parametrize("content", ["x", "Dear diary,\n" * 100])
def test_a_text_file_is_refused_and_left_alone(path, content):
    path.write_text(content)
    assert refusal(path) == (
        f"The file {path} must be a store of batchlab, and it is not an SQLite database; {ELSEWHERE}"
    )
    assert path.read_text() == content


@pytest.mark.parametrize("table", ["users (name)", "meta (key, value)", "meta (version)"])
def test_the_database_of_another_program_is_refused_and_left_alone(path, table):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE {table}")
        connection.commit()
    content = path.read_bytes()
    assert refusal(path) == (
        f"The file {path} must be a store of batchlab, and it is the database of another program; {ELSEWHERE}"
    )
    assert path.read_bytes() == content


def test_a_store_of_another_format_is_refused(store, path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = 'batchlab.store/2'")
        connection.commit()
    assert refusal(path) == (
        f"The store {path} has format batchlab.store/2, and this version of batchlab reads batchlab.store/1; use the "
        f"version that wrote it, or {ELSEWHERE}"
    )


def test_a_store_of_an_earlier_version_is_completed(store, path, monkeypatch):
    monkeypatch.setattr(driver, "HEARTBEAT_S", 0.1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE running")
        connection.execute("ALTER TABLE drivers DROP COLUMN owner")
        connection.execute("ALTER TABLE drivers DROP COLUMN machine")
        connection.execute("INSERT INTO drivers VALUES ('one', 't', 'elsewhere', 1, NULL, 'then', 0.0)")
        connection.commit()
    with closing(open_store(path, create=False)) as again, again.claim("one") as claim:
        assert claim.take("t")
        assert again.studies()[0].driver.owner


def test_a_trial_of_another_format_is_refused(store, path):
    store.add_results("one", {"t": replace(RESULT, format="batchlab.trial/9")})
    with pytest.raises(StoreError) as caught:
        store.study("one")
    assert str(caught.value) == (
        f"The store {path} holds a record that this version of batchlab cannot read (expected a record of format "
        "batchlab.trial/1, got 'batchlab.trial/9'); open it with the version that wrote it."
    )


def test_a_folder_is_refused(tmp_path):
    assert refusal(tmp_path) == (
        f"A store is a file, and {tmp_path} is a folder; name a file in it, as in {tmp_path}/batchlab.db."
    )


def test_a_store_in_a_folder_that_is_not_there_is_refused(tmp_path):
    path = tmp_path / "no" / "batchlab.db"
    assert refusal(path) == (
        f"The store {path} needs a folder to be in, and {path.parent} is not one; make it, or {ELSEWHERE}"
    )


def test_a_store_cannot_be_made_in_a_read_only_folder(unprivileged):
    unprivileged.chmod(0o500)
    path = unprivileged / "batchlab.db"
    assert refusal(path) == (
        f"The store {path} cannot be opened or made; check that its folder is one you may write to, or {ELSEWHERE}"
    )


def test_a_read_only_store_is_refused(unprivileged):
    path = unprivileged / "batchlab.db"
    with closing(open_store(path)) as store:
        store.save_study("one", "digits", SPEC, INFO)
    path.chmod(0o400)
    with pytest.raises(StoreError) as caught, closing(open_store(path)) as store:
        store.add_results("one", {"t": RESULT})
    assert str(caught.value) == (
        f"The store {path} must be writable, and it or its folder is read-only; change that, or {ELSEWHERE}"
    )


def test_an_unreadable_store_is_refused(unprivileged):
    path = unprivileged / "batchlab.db"
    open_store(path).close()
    path.chmod(0)
    assert refusal(path) == (
        f"The store {path} must be yours to read and write, and it is not; change its permissions, or {ELSEWHERE}"
    )
