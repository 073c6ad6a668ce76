"""Whose a study is, and whose each trial at work: so that many may use one store at the same time."""

import contextlib
import functools
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from batchlab.errors import StoreError
from batchlab.records import to_json
from batchlab.studies import driver, store
from batchlab.studies.driver import Driver, is_alive, sign_of, this_driver
from batchlab.studies.sql_tables import DRIVERS, RUNNING, STUDIES, TRIALS, Database

# A driver that lives is heard once a heartbeat.
WATCHED_HEARTBEATS = 1.5
SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(slots=True)
class SqlClaim:
    """A study that is this process's own: see `batchlab.studies.store.Claim`."""

    database: Database
    study_id: str
    name: str
    token: str
    due: float = field(default_factory=lambda: time.monotonic() + driver.HEARTBEAT_S)

    def touch(self) -> None:
        """See `Claim`."""
        if time.monotonic() < self.due:
            return

        def work(connection: sa.Connection) -> int:
            mine = (DRIVERS.c.study_id == self.study_id) & (DRIVERS.c.token == self.token)
            beat = sa.update(DRIVERS).where(mine).values(heartbeat=self.database.now(connection))
            return connection.execute(beat).rowcount

        if not self.database.write(work):
            raise store.taken_over(self.name)
        self.due = time.monotonic() + driver.HEARTBEAT_S

    def take(self, trial_id: str) -> bool:
        """See `Claim`."""
        return self.database.write(lambda connection: self._take(connection, trial_id), lasting=False)

    def _take(self, connection: sa.Connection, trial_id: str) -> bool:
        """Hold the trial's row before looking whether it is done: its result comes in one step with the row's end."""
        this = RUNNING.c.trial_id == trial_id
        token = self._hold(connection, trial_id)
        status = connection.execute(sa.select(TRIALS.c.status).where(TRIALS.c.id == trial_id)).scalar_one_or_none()
        if status not in (None, "failed"):
            connection.execute(sa.delete(RUNNING).where(this & (RUNNING.c.token == self.token)))
            return False
        if token != self.token:
            row = connection.execute(sa.select(DRIVERS).where(DRIVERS.c.token == token)).one_or_none()
            if row is not None and is_alive(driver_in(row), self.database.now(connection)):
                return False
            connection.execute(sa.update(RUNNING).where(this).values(study_id=self.study_id, token=self.token))
        return True

    def _hold(self, connection: sa.Connection, trial_id: str) -> str:
        """Return the token of the driver that has taken the trial, this one where none had; it cannot change now."""
        mine = {"trial_id": trial_id, "study_id": self.study_id, "token": self.token}
        write_down = self.database.insert(RUNNING).values(mine).on_conflict_do_nothing()
        whose = sa.select(RUNNING.c.token).where(RUNNING.c.trial_id == trial_id).with_for_update()
        while True:
            connection.execute(write_down)
            token: str | None = connection.execute(whose).scalar_one_or_none()
            # A server lets another driver end between the two.
            if token is not None:
                return token


@contextlib.contextmanager
def claimed(database: Database, study_id: str, on_notice: Callable[[str], None]) -> Iterator[SqlClaim]:
    """Make this process the driver of a study, which must be there, for the length of a `with`."""
    token = uuid.uuid4().hex
    claim = SqlClaim(database, study_id, _take_study(database, study_id, token, on_notice), token)
    try:
        yield claim
    finally:
        # Where the disk is full, say, the claim ends with the process; the error that led here is the one to show.
        with contextlib.suppress(StoreError):
            database.write(lambda connection: _let_go(connection, token))


def driver_in(row: Any) -> Driver:
    """Return the driver in a row of the table."""
    return Driver(row.host, row.pid, row.process_start, row.since, row.heartbeat, row.owner, row.machine)


def _take_study(database: Database, study_id: str, token: str, on_notice: Callable[[str], None]) -> str:
    """Return the study's name once this process is its driver.

    One that is silent is watched first: its clock, or ours, may have been set, and then only a heartbeat is proof.
    """
    watched: Driver | None = None
    until = time.monotonic() + WATCHED_HEARTBEATS * driver.HEARTBEAT_S
    while True:
        over = time.monotonic() >= until
        attempt = functools.partial(_try_study, database, study_id, token, watched=watched, over=over)
        name, found = database.write(attempt)
        if found is None:
            return name
        if watched is None:
            on_notice(
                f"Process {found.pid} on {found.host} has worked on {name!r} and is silent; watching it for "
                f"{WATCHED_HEARTBEATS * driver.HEARTBEAT_S:.0f} s before this one goes on."
            )
        watched = found
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _try_study(
    database: Database, study_id: str, token: str, connection: sa.Connection, *, watched: Driver | None, over: bool
) -> tuple[str, Driver | None]:
    """Return the study's name, and the driver that must be watched before this process may be written down."""
    this = DRIVERS.c.study_id == study_id
    # On a server this row is what two that come at once wait for; SQLite lets only one write at all.
    name = connection.execute(sa.select(STUDIES.c.name).where(STUDIES.c.id == study_id).with_for_update()).scalar_one()
    row = connection.execute(sa.select(DRIVERS).where(this)).one_or_none()
    now = database.now(connection)
    if row is not None and row.token != token:
        found = driver_in(row)
        sign = sign_of(found, now)
        if sign == "alive" or (watched is not None and found != watched):
            raise store.running(found, name)
        if sign == "silent" and not over:
            return name, found
    connection.execute(sa.delete(RUNNING).where(RUNNING.c.study_id == study_id))
    connection.execute(sa.delete(DRIVERS).where(this))
    me = to_json(this_driver(store.utc_now(), now))
    connection.execute(sa.insert(DRIVERS).values(study_id=study_id, token=token, **me))
    return name, None


def _let_go(connection: sa.Connection, token: str) -> None:
    connection.execute(sa.delete(RUNNING).where(RUNNING.c.token == token))
    connection.execute(sa.delete(DRIVERS).where(DRIVERS.c.token == token))
