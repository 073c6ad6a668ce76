"""The tables of a store, and what a database offers that holds them."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from batchlab.errors import StoreError

FORMAT = "batchlab.store/1"
ELSEWHERE = "name another store with `--store`."

Found = TypeVar("Found")

TABLES = sa.MetaData()

META = sa.Table(
    "meta",
    TABLES,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)
STUDIES = sa.Table(
    "studies",
    TABLES,
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
    TABLES,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
)
STUDY_TRIALS = sa.Table(
    "study_trials",
    TABLES,
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.ForeignKey("studies.id"), nullable=False),
    sa.Column("trial_id", sa.ForeignKey("trials.id"), nullable=False),
    sa.UniqueConstraint("study_id", "trial_id"),
)
DRIVERS = sa.Table(
    "drivers",
    TABLES,
    sa.Column("study_id", sa.ForeignKey("studies.id"), primary_key=True),
    sa.Column("token", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process_start", sa.BigInteger),
    sa.Column("since", sa.String, nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
    sa.Column("owner", sa.String, nullable=False, server_default=""),
    sa.Column("machine", sa.String, nullable=False, server_default=""),
)
# Trials at work: whose they are, so that the driver of another study does not run them too.
RUNNING = sa.Table(
    "running",
    TABLES,
    sa.Column("trial_id", sa.String, primary_key=True),
    sa.Column("study_id", sa.ForeignKey("studies.id"), nullable=False),
    sa.Column("token", sa.String, nullable=False),
)


class Database(Protocol):
    """A database that is open and has the tables.

    What `read` and `write` are given may be called again, after a lost connection: it must come to the same twice.
    """

    place: str
    url: str

    def read(self, work: Callable[[sa.Connection], Found]) -> Found:
        """Return what `work` returns, called within one transaction."""

    def write(self, work: Callable[[sa.Connection], Found], *, lasting: bool = True) -> Found:
        """Return what `work` returns, whose changes then last; without `lasting` a power failure may undo them."""

    def insert(self, table: sa.Table) -> Any:
        """Return the statement that inserts into a table, in the dialect that has `on_conflict_do_update`."""

    def now(self, connection: sa.Connection) -> float:
        """Return the seconds since 1970 by the one clock that all drivers share."""

    def close(self) -> None:
        """Let go of files and connections."""


def make_tables(connection: sa.Connection) -> None:
    """Make what is missing of the tables, in a transaction that nobody else makes them in."""
    TABLES.create_all(connection)
    connection.execute(sa.insert(META).values(key="format", value=FORMAT))


def check_format(connection: sa.Connection, holder: str, place: str, schema: str | None = None) -> None:
    """Raise where the tables, which are in `holder`, are of another program or of another version of this one."""
    found, seen = "", sa.inspect(connection)
    if seen.has_table(META.name, schema=schema):
        columns = {column["name"] for column in seen.get_columns(META.name, schema=schema)}
        if {"key", "value"} <= columns:
            found = str(connection.execute(sa.select(META.c.value).where(META.c.key == "format")).scalar_one_or_none())
    if not found.startswith("batchlab.store/"):
        raise StoreError(
            f"{holder} must be a store of batchlab, and it is the database of another program; {ELSEWHERE}"
        )
    if found != FORMAT:
        raise StoreError(
            f"The store {place} has format {found}, and this version of batchlab reads {FORMAT}; use the version that "
            f"wrote it, or {ELSEWHERE}"
        )
