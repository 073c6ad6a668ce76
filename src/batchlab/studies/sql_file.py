"""The SQLite file of a store: how it is opened, and what the database's errors mean to a user.

A write-ahead log lets reports be made while a study runs.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from batchlab.errors import StoreError
from batchlab.studies.sql_tables import DRIVERS, ELSEWHERE, RUNNING, TABLES, Found, check_format, make_tables

HEADER = b"SQLite format 3\x00"
LOCK_WAIT_S = 30.0

# SQLite's own names of its errors; the first that the error's name starts with applies.
_MEANINGS = {
    "SQLITE_FULL": "The store {place} needs room for the next record, and its disk is full; nothing is lost so far: "
    "free some space, then run `batchlab resume`.",
    "SQLITE_READONLY": "The store {place} must be writable, and it or its folder is read-only; change that, or "
    + ELSEWHERE,
    "SQLITE_CANTOPEN": "The store {place} cannot be opened or made; check that its folder is one you may write to, or "
    + ELSEWHERE,
    "SQLITE_PERM": "The store {place} must be yours to read and write, and it is not; change its permissions, or "
    + ELSEWHERE,
    "SQLITE_BUSY": "The store {place} is written to by one process at a time, and another one has held it for "
    "{wait:.0f} seconds; try again when that one is done.",
    "SQLITE_NOTADB": "The file {place} must be a store of batchlab, and it is not an SQLite database; " + ELSEWHERE,
    "SQLITE_CORRUPT": "The store {place} is damaged ({text}); put back a copy of the file, or " + ELSEWHERE,
    "SQLITE_IOERR": "The disk under the store {place} fails ({text}); nothing stored so far is given up: mend the "
    "disk, then run `batchlab resume`.",
    "": "The store {place} cannot be used ({text}); " + ELSEWHERE,
}


class SqliteFile:
    """The store at `path`, with the methods of `batchlab.studies.sql_tables.Database`."""

    def __init__(self, path: Path, *, create: bool) -> None:
        """Open the file, made first when it is missing and `create` says so.

        Raises:
            StoreError: something else is there, or nothing where something was wanted, or it cannot be used.
        """
        _check_path(path, create=create)
        self.place, self.url = str(path), f"sqlite:///{path}"
        self._engine = _engine(path)
        try:
            with translated(self.place):
                if not _table_names(self._engine):
                    _make(self._engine)
                self.read(lambda connection: check_format(connection, f"The file {path}", self.place))
                if RUNNING.name not in _table_names(self._engine):
                    self.write(_complete)
        except BaseException:
            self.close()
            raise

    def read(self, work: Callable[[sa.Connection], Found]) -> Found:
        """See `Database`."""
        with translated(self.place), self._engine.begin() as connection:
            return work(connection)

    def write(self, work: Callable[[sa.Connection], Found], *, lasting: bool = True) -> Found:
        """See `Database`."""
        engine = self._engine.execution_options(begin="BEGIN IMMEDIATE", synchronous="FULL" if lasting else "NORMAL")
        with translated(self.place), engine.begin() as connection:
            return work(connection)

    def insert(self, table: sa.Table) -> Any:
        """See `Database`."""
        return insert(table)

    def now(self, connection: sa.Connection) -> float:
        """See `Database`."""
        return time.time()

    def close(self) -> None:
        """See `Database`."""
        self._engine.dispose()


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn errors of the database into a `StoreError` that says what to do."""
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        original: Any = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        name = getattr(original, "sqlite_errorname", None) or ""
        meaning = next(text for start, text in _MEANINGS.items() if name.startswith(start))
        raise StoreError(meaning.format(place=place, text=original, wait=LOCK_WAIT_S)) from error


def _check_path(path: Path, *, create: bool) -> None:
    """Refuse what SQLite would refuse with less advice, and files that it would change before they are recognized."""
    try:
        if path.is_dir():
            raise StoreError(
                f"A store is a file, and {path} is a folder; name a file in it, as in {path / 'batchlab.db'}."
            )
        head = _head(path)
    except (FileNotFoundError, NotADirectoryError):
        head = b""
        if create and not path.parent.is_dir():
            raise StoreError(
                f"The store {path} needs a folder to be in, and {path.parent} is not one; make it, or {ELSEWHERE}"
            ) from None
    except PermissionError as error:
        raise StoreError(_MEANINGS["SQLITE_PERM"].format(place=path)) from error
    if not head and not create:
        raise StoreError(
            f"A store was expected at {path}, and there is none; start a study with `batchlab study`, or {ELSEWHERE}"
        )
    if head and head != HEADER:
        raise StoreError(_MEANINGS["SQLITE_NOTADB"].format(place=path))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(HEADER))


def _engine(path: Path) -> sa.Engine:
    url = sa.URL.create("sqlite", database=str(path))
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_WAIT_S})

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        # Python's driver would begin transactions by itself, too late for BEGIN IMMEDIATE.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if "synchronous" in options:
            connection.exec_driver_sql(f"PRAGMA synchronous = {options['synchronous']}")
        connection.exec_driver_sql(options.get("begin", "BEGIN"))

    return engine


def _table_names(engine: sa.Engine) -> list[str]:
    with engine.begin() as connection:
        return sa.inspect(connection).get_table_names()


def _make(engine: sa.Engine) -> None:
    _use_write_ahead_log(engine)
    with engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
        # Another process may have come first.
        if not sa.inspect(connection).get_table_names():
            make_tables(connection)


def _complete(connection: sa.Connection) -> None:
    """Add what files of this format did not have at first."""
    known = {column["name"] for column in sa.inspect(connection).get_columns(DRIVERS.name)}
    for column in (DRIVERS.c.owner, DRIVERS.c.machine):
        if column.name not in known:
            connection.exec_driver_sql(f"ALTER TABLE drivers ADD COLUMN {column.name} VARCHAR NOT NULL DEFAULT ''")
    TABLES.create_all(connection)


def _use_write_ahead_log(engine: sa.Engine) -> None:
    """Switch the journal, which SQLite refuses at once, without waiting, while another process has the file open."""
    give_up = time.monotonic() + LOCK_WAIT_S
    with contextlib.closing(engine.raw_connection()) as connection:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > give_up:
                    raise
                time.sleep(0.02)
            else:
                return
