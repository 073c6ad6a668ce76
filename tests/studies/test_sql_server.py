"""What a PostgreSQL server does that a file does not: it refuses, it goes away, and many use it at once."""

import subprocess
import sys
import threading
import time
import traceback
from contextlib import closing

import psycopg
import pytest

from batchlab.errors import MissingPackage, StoreError
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.plan import trial_id
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.store_opening import open_store
from simulated import INFO, InstantExecutor, World, spec

WORLD = World({8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05})
ELSEWHERE = "name another store with `--store`."


def refusal(address, **options):
    with pytest.raises(StoreError) as caught:
        open_store(address, **options).close()
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret" not in shown
    return str(caught.value)


@pytest.fixture
def guarded(postgres):
    """The user ann, who needs a password and may connect, and nothing else."""
    rules = postgres.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("local all ann scram-sha-256\n" + before)
    postgres.execute("CREATE ROLE ann LOGIN PASSWORD 'secret'")
    postgres.execute("SELECT pg_reload_conf()")
    yield
    rules.write_text(before)
    postgres.execute("DROP OWNED BY ann")
    postgres.execute("DROP ROLE ann")
    postgres.execute("SELECT pg_reload_conf()")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("batchlab.studies.sql_server.PATIENCE_S", 0.3)


def test_a_server_that_is_not_there_is_said_to_be_unreachable(tmp_path):
    address = f"postgresql+psycopg://ann:secret@/d?host={tmp_path}"
    assert refusal(address) == (
        f"The store postgresql+psycopg://ann:***@/d?host={tmp_path} must be reachable, and its server does not answer "
        f'(connection is bad: connection to server on socket "{tmp_path}/.s.PGSQL.5432" failed: No such file or '
        f"directory); start it, or {ELSEWHERE}"
    )


def test_a_database_that_is_not_there_is_not_made(postgres):
    address = postgres.address("nowhere")
    assert refusal(address) == (
        f'The store {address} needs a database, and the server has none of this name (database "nowhere" does not '
        f"exist); make it with `createdb`, or {ELSEWHERE}"
    )


def test_a_wrong_password_is_refused_and_none_is_shown(postgres, guarded):
    address = postgres.address("postgres", "ann:notsecret")
    assert refusal(address) == (
        f"The store {postgres.address('postgres', 'ann:***')} must let you in, and its server refuses user or password "
        '(password authentication failed for user "ann"); put the right password into PGPASSWORD or ~/.pgpass, or ask '
        "whoever runs the server for access."
    )


def test_a_user_without_rights_is_told_which(postgres, postgres_address, guarded):
    address = postgres.address("postgres", "ann:secret")
    assert refusal(address) == (
        f"The store {postgres.address('postgres', 'ann:***')} must be yours to read and write, and its server says: "
        "permission denied for database postgres; have its owner grant you the schema batchlab and its tables, or "
        f"{ELSEWHERE}"
    )


def test_the_password_is_in_no_address_that_is_shown(postgres, postgres_address, guarded):
    postgres.execute("GRANT CREATE ON DATABASE postgres TO ann")
    with closing(open_store(postgres.address("postgres", "ann:secret"))) as store:
        assert store.url == postgres.address("postgres", "ann:***")


def test_a_reader_makes_no_store(postgres_address):
    assert refusal(postgres_address, create=False) == (
        f"A store was expected at {postgres_address}, and there is none; start a study with `batchlab study`, or "
        f"{ELSEWHERE}"
    )


@pytest.mark.parametrize("address", ["postgresql://ann:secret@host", "postgresql://ann:secret@host:port/d"])
def test_an_address_that_cannot_be_read_is_refused(address):
    assert refusal(address) == (
        "A store on PostgreSQL is given as postgresql+psycopg://USER@HOST/DATABASE, got "
        f"{address.replace('postgresql', 'postgresql+psycopg').replace('secret', '***')}; write %40 for an @ in a "
        "password, and name the database."
    )


def test_the_schema_of_another_program_is_refused_and_left_alone(postgres, postgres_address):
    postgres.execute("CREATE SCHEMA batchlab CREATE TABLE meta (version text)")
    assert refusal(postgres_address) == (
        f"The schema batchlab of {postgres_address} must be a store of batchlab, and it is the database of another "
        f"program; {ELSEWHERE}"
    )


def test_the_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingPackage) as caught:
        open_store("postgresql://host/d")
    assert str(caught.value) == (
        "A store on PostgreSQL needs the package psycopg, which is not installed; run "
        "`pip install 'batchlab[postgres]'`."
    )


def test_tables_of_other_programs_in_the_same_database_are_left_alone(postgres, postgres_address):
    postgres.execute("CREATE TABLE public.trials (whose text)")
    with closing(open_store(postgres_address)) as store:
        assert store.studies() == ()
    postgres.execute("DROP TABLE public.trials")


def test_many_processes_can_make_the_store_at_once(postgres_address):
    command = [sys.executable, "-c", "import sys, batchlab.studies.store_opening as s; s.open_store(sys.argv[1])"]
    processes = [subprocess.Popen([*command, postgres_address]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0] * 3


def test_a_server_stopped_in_the_middle_costs_nothing_but_one_notice(postgres, postgres_address):
    calm = run_study(
        spec(), INFO, name="s", store=MemoryStore(), executor=InstantExecutor(WORLD.result), progress=Quiet()
    )
    said, ran = [], []

    def respond(settings):
        ran.append(settings)
        if len(ran) in (20, 60):
            postgres.stop()
            restarts.append(threading.Timer(0.4, postgres.start))
            restarts[-1].start()
        return WORLD.result(settings)

    restarts = []
    with closing(open_store(postgres_address, on_notice=said.append)) as store:
        executor = InstantExecutor(respond)
        record = run_study(spec(), INFO, name="s", store=store, executor=executor, progress=Quiet())
    for restart in restarts:
        restart.join()
    assert [(trial_id(one.settings), one.valid_metric) for one in record.trials] == [
        (trial_id(one.settings), one.valid_metric) for one in calm.trials
    ]
    assert len(ran) == len(calm.trials)
    assert [text.partition(" (")[0] for text in said] == [
        f"The server of the store {postgres_address} does not answer"
    ] * 2
    assert said[0].endswith("); nothing is lost: trying again for 10 minutes.")


def test_connections_broken_off_are_made_anew_without_a_word(postgres, postgres_address):
    said = []
    with closing(open_store(postgres_address, on_notice=said.append)) as store:
        store.save_study("one", "first", spec(), INFO)
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        postgres.execute(f"{others} AND backend_type = 'client backend'")
        assert store.study("one").name == "first"
    assert said == []


def test_a_server_that_stays_away_ends_the_study_after_a_bounded_time(postgres, postgres_address, impatient):
    with closing(open_store(postgres_address)) as store:
        postgres.stop()
        try:
            with pytest.raises(StoreError) as caught:
                store.studies()
            started = time.monotonic()
            with pytest.raises(StoreError):
                store.studies()
            again = time.monotonic() - started
        finally:
            postgres.start()
    assert str(caught.value) == (
        f"The server of the store {postgres_address} has not answered for 0 seconds (connection is bad: connection to "
        f'server on socket "{postgres.folder}/.s.PGSQL.5432" failed: No such file or directory); nothing stored is '
        "lost: run `batchlab resume` when it is back."
    )
    assert again < 0.3


def test_two_drivers_that_come_at_once_are_one_driver(postgres_address):
    with closing(open_store(postgres_address)) as store:
        store.save_study("one", "first", spec(), INFO)
        begin, came = threading.Barrier(4), []

        def come():
            with closing(open_store(postgres_address)) as mine:
                begin.wait()
                try:
                    with mine.claim("one"):
                        came.append("first")
                        begin.wait(10)
                except StoreError:
                    came.append("second")
                    begin.wait(10)

        threads = [threading.Thread(target=come) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(came) == ["first", "second", "second", "second"]


def test_the_clock_is_the_servers_own(postgres_address, monkeypatch):
    with closing(open_store(postgres_address)) as store:
        store.save_study("one", "first", spec(), INFO)
        before = time.time()
        monkeypatch.setattr("time.time", lambda: 0.0)
        with store.claim("one"):
            assert store.studies()[0].driver.heartbeat > before - 1


def test_no_transaction_is_left_open(postgres, postgres_address):
    with closing(open_store(postgres_address)) as store:
        store.save_study("one", "first", spec(), INFO)
        with store.claim("one") as claim:
            claim.take("t")
        with psycopg.connect(dbname="postgres", user="batchlab", host=str(postgres.folder)) as connection:
            states = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'"
            assert connection.execute(states).fetchone() == (0,)
