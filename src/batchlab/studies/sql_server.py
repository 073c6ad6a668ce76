"""The PostgreSQL database of a store: how it is reached, what its errors mean, and patience while it is away."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from batchlab.errors import MissingPackage, StoreError
from batchlab.studies.sql_tables import ELSEWHERE, META, Found, check_format, make_tables
from batchlab.studies.store_addresses import SERVER_EXAMPLE, server_address, shown

# A schema of our own: a database may be shared with other programs, and some of them have tables of these names.
SCHEMA = "batchlab"
PATIENCE_S = 600.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
# A server that vanished without a word is noticed within a minute.
CONNECTION = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 40_000,
    "fallback_application_name": "batchlab",
}
# The key of the lock under which tables are made: any number does, as long as it is always the same.
MAKING = 1_651_796_067

# What a server says against a connection comes without a code, in words only.
_REFUSALS = {
    r'database ".*" does not exist': "The store {place} needs a database, and the server has none of this name "
    "({text}); make it with `createdb`, or " + ELSEWHERE,
    r'authentication failed|no password supplied|pg_hba.conf|^role ".*"|permission denied': "The store {place} must "
    "let you in, and its server refuses user or password ({text}); put the right password into PGPASSWORD or "
    "~/.pgpass, or ask whoever runs the server for access.",
}
_UNREACHABLE = "The store {place} must be reachable, and its server does not answer ({text}); start it, or " + ELSEWHERE
_GIVEN_UP = (
    "The server of the store {place} has not answered for {patience:.0f} seconds ({text}); nothing stored is lost: run "
    "`batchlab resume` when it is back."
)
# The codes of appendix A of the manual of PostgreSQL; the first that an error's code starts with applies.
_MEANINGS = {
    "53100": "The store {place} needs room for the next record, and the disk of its server is full ({text}); nothing "
    "is lost so far: have some space freed, then run `batchlab resume`.",
    "42501": "The store {place} must be yours to read and write, and its server says: {text}; have its owner grant you "
    "the schema " + SCHEMA + " and its tables, or " + ELSEWHERE,
    "25006": "The store {place} must be writable, and its server is read-only ({text}); name the primary server.",
    "": "The store {place} cannot be used ({text}); " + ELSEWHERE,
}
# Connection lost, transaction rolled back to let another one through, too many connections, server going or coming.
_PASSING = ("08", "40", "53300", "57P")


class PostgresServer:
    """The store in a PostgreSQL database, with the methods of `batchlab.studies.sql_tables.Database`.

    When the server goes away later on, what was to be done is done again until it is back, for ten minutes at most.
    """

    def __init__(self, address: str, *, create: bool, on_notice: Callable[[str], None]) -> None:
        """Reach the database, and make the tables when they are missing and `create` says so.

        Raises:
            StoreError: the server cannot be reached or lets us do less than we need, or there is no store.
            MissingPackage: psycopg is not installed.
        """
        self.place = self.url = shown(address)
        self._notice = on_notice
        self._patience_s = 0.0
        self._engine = _engine(address, self.place)
        try:
            self.write(lambda connection: _prepare(connection, self.place, create=create))
        except BaseException:
            self.close()
            raise
        self._patience_s = PATIENCE_S

    def read(self, work: Callable[[sa.Connection], Found]) -> Found:
        """See `Database`."""
        return self.write(work)

    def write(self, work: Callable[[sa.Connection], Found], *, lasting: bool = True) -> Found:
        """See `Database`."""
        pauses = _pauses(self._patience_s)
        while True:
            try:
                with self._engine.begin() as connection:
                    if not lasting:
                        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                    return work(connection)
            except sa.exc.DBAPIError as error:
                if not _passes(error):
                    raise self._explained(error) from error
                self._wait(pauses, error)

    def insert(self, table: sa.Table) -> Any:
        """See `Database`."""
        return insert(table)

    def now(self, connection: sa.Connection) -> float:
        """Return the server's time: the hosts' own clocks need not agree."""
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

    def close(self) -> None:
        """See `Database`."""
        self._engine.dispose()

    def _wait(self, pauses: Iterator[float], error: sa.exc.DBAPIError) -> None:
        """Wait for the server; whoever does not wait to the end, as with Ctrl-C, is not made to wait again."""
        patience_s, self._patience_s = self._patience_s, 0.0
        pause = next(pauses, None)
        if pause is None:
            meaning = _GIVEN_UP if patience_s else _UNREACHABLE
            raise StoreError(meaning.format(place=self.place, text=_words(error), patience=patience_s)) from error
        if pause == FIRST_PAUSE_S:
            self._notice(
                f"The server of the store {self.place} does not answer ({_words(error)}); nothing is lost: trying "
                f"again for {patience_s / 60:.0f} minutes."
            )
        time.sleep(pause)
        self._patience_s = patience_s

    def _explained(self, error: sa.exc.DBAPIError) -> StoreError:
        text, code = _words(error), _code(error)
        meaning = _refusal(text) if code is None else None
        meaning = meaning or next(what for start, what in _MEANINGS.items() if (code or "").startswith(start))
        return StoreError(meaning.format(place=self.place, text=text))


def _pauses(patience_s: float) -> Iterator[float]:
    """Yield how long to wait before each further attempt: at first not at all, as one may simply connect anew."""
    started, pause = time.monotonic(), FIRST_PAUSE_S
    yield 0.0
    while time.monotonic() - started < patience_s:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_S)


def _engine(address: str, place: str) -> sa.Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingPackage(
            "A store on PostgreSQL needs the package psycopg, which is not installed; run "
            "`pip install 'batchlab[postgres]'`."
        ) from error
    try:
        url = sa.make_url(server_address(address))
    except (sa.exc.ArgumentError, ValueError):
        # The cause shows the whole address.
        url = None
    if url is None or not url.database:
        raise StoreError(
            f"A store on PostgreSQL is given as {SERVER_EXAMPLE}, got {place}; write %40 for an @ in a password, and "
            "name the database."
        )
    engine = sa.create_engine(url, connect_args=CONNECTION, hide_parameters=True)
    return engine.execution_options(schema_translate_map={None: SCHEMA})


def _prepare(connection: sa.Connection, place: str, *, create: bool) -> None:
    if not sa.inspect(connection).has_table(META.name, schema=SCHEMA):
        if not create:
            raise StoreError(
                f"A store was expected at {place}, and there is none; start a study with `batchlab study`, or "
                f"{ELSEWHERE}"
            )
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MAKING})")
        # Another process may have come first, or somebody made the schema for users who may not.
        seen = sa.inspect(connection)
        if not seen.has_schema(SCHEMA):
            connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        if not seen.get_table_names(schema=SCHEMA):
            make_tables(connection)
    check_format(connection, f"The schema {SCHEMA} of {place}", place, schema=SCHEMA)


def _passes(error: sa.exc.DBAPIError) -> bool:
    """Return whether trying again may help: after a lost connection, or where none was to be had."""
    code = _code(error)
    if error.connection_invalidated or code is not None:
        return error.connection_invalidated or str(code).startswith(_PASSING)
    return isinstance(error, sa.exc.OperationalError) and _refusal(_words(error)) is None


def _refusal(text: str) -> str | None:
    return next((what for said, what in _REFUSALS.items() if re.search(said, text)), None)


def _code(error: sa.exc.DBAPIError) -> str | None:
    code: str | None = getattr(error.orig, "sqlstate", None)
    return code


def _words(error: sa.exc.DBAPIError) -> str:
    """Return the first line of what the server, or the way to it, said."""
    return str(error.orig).strip().partition("\n")[0].rpartition("FATAL:")[2].strip()
