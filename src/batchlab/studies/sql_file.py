"""The SQLite file of a store: its tables, how it is opened, and what the database's errors mean to a user."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from batchlab.errors import StoreError

FORMAT = "batchlab.store/1"
HEADER = b"SQLite format 3\x00"
LOCK_WAIT_S = 30.0

_TABLES = sa.MetaData()

META = sa.Table(
    "meta",
    _TABLES,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)
STUDIES = sa.Table(
    "studies",
    _TABLES,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("workload", sa.String, nullable=False),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("info", sa.Text, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("step_times", sa.Text, nullable=False),
    sa.Column("saved", sa.Integer, nullable=False),
)
TRIALS = sa.Table(
    "trials",
    _TABLES,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
)
STUDY_TRIALS = sa.Table(
    "study_trials",
    _TABLES,
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.ForeignKey("studies.id"), nullable=False),
    sa.Column("trial_id", sa.ForeignKey("trials.id"), nullable=False),
    sa.UniqueConstraint("study_id", "trial_id"),
)
DRIVERS = sa.Table(
    "drivers",
    _TABLES,
    sa.Column("study_id", sa.ForeignKey("studies.id"), primary_key=True),
    sa.Column("token", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process_start", sa.Integer),
    sa.Column("since", sa.String, nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
)

_ELSEWHERE = "name another store with `--store`."

# SQLite's own names of its errors; the first that the error's name starts with applies.
_MEANINGS = {
    "SQLITE_FULL": "The store {place} needs room for the next record, and its disk is full; nothing is lost so far: "
    "free some space, then run `batchlab resume`.",
    "SQLITE_READONLY": "The store {place} must be writable, and it or its folder is read-only; change that, or "
    + _ELSEWHERE,
    "SQLITE_CANTOPEN": "The store {place} cannot be opened or made; check that its folder is one you may write to, or "
    + _ELSEWHERE,
    "SQLITE_PERM": "The store {place} must be yours to read and write, and it is not; change its permissions, or "
    + _ELSEWHERE,
    "SQLITE_BUSY": "The store {place} is written to by one process at a time, and another one has held it for "
    "{wait:.0f} seconds; try again when that one is done.",
    "SQLITE_NOTADB": "The file {place} must be a store of batchlab, and it is not an SQLite database; " + _ELSEWHERE,
    "SQLITE_CORRUPT": "The store {place} is damaged ({text}); put back a copy of the file, or " + _ELSEWHERE,
    "SQLITE_IOERR": "The disk under the store {place} fails ({text}); nothing stored so far is given up: mend the "
    "disk, then run `batchlab resume`.",
    "": "The store {place} cannot be used ({text}); " + _ELSEWHERE,
}


def open_file(path: Path, *, create: bool) -> sa.Engine:
    """Return an engine on the store at `path`, made there first when it is missing and `create` says so.

    Raises:
        StoreError: something else is there, or nothing where something was wanted, or it cannot be read and written.
    """
    _check_path(path, create=create)
    engine = _engine(path)
    try:
        with translated(str(path)):
            if not _table_names(engine):
                _make_tables(engine)
            _check_format(engine, path)
    except BaseException:
        engine.dispose()
        raise
    return engine


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
                f"The store {path} needs a folder to be in, and {path.parent} is not one; make it, or {_ELSEWHERE}"
            ) from None
    except PermissionError as error:
        raise StoreError(_MEANINGS["SQLITE_PERM"].format(place=path)) from error
    if not head and not create:
        raise StoreError(
            f"A store was expected at {path}, and there is none; start a study with `batchlab study`, or {_ELSEWHERE}"
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
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _table_names(engine: sa.Engine) -> list[str]:
    with engine.begin() as connection:
        return sa.inspect(connection).get_table_names()


def _make_tables(engine: sa.Engine) -> None:
    _use_write_ahead_log(engine)
    with engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
        # Another process may have come first.
        if not sa.inspect(connection).get_table_names():
            _TABLES.create_all(connection)
            connection.execute(sa.insert(META).values(key="format", value=FORMAT))


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


def _check_format(engine: sa.Engine, path: Path) -> None:
    found = ""
    with engine.begin() as connection:
        seen = sa.inspect(connection)
        if seen.has_table(META.name) and {"key", "value"} <= {column["name"] for column in seen.get_columns(META.name)}:
            query = sa.select(META.c.value).where(META.c.key == "format")
            found = str(connection.execute(query).scalar_one_or_none())
    if not found.startswith("batchlab.store/"):
        raise StoreError(
            f"The file {path} must be a store of batchlab, and it is the database of another program; {_ELSEWHERE}"
        )
    if found != FORMAT:
        raise StoreError(
            f"The store {path} has format {found}, and this version of batchlab reads {FORMAT}; use the version that "
            f"wrote it, or {_ELSEWHERE}"
        )
