"""The store in a file: SQLite with a write-ahead log, so that reports can be made while a study runs."""

import contextlib
import dataclasses
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from batchlab.errors import StoreError
from batchlab.records import Record, StepTime, StudyRecord, StudySpec, TrialResult, WorkloadInfo, from_json, to_json
from batchlab.studies import driver, store
from batchlab.studies.driver import Driver, is_alive, this_driver
from batchlab.studies.sql_file import DRIVERS, STUDIES, STUDY_TRIALS, TRIALS, open_file, translated

# SQLite allows 32,766 parameters in one statement.
MOST_PARAMETERS = 10_000


class SqlStore:
    """A store in one SQLite file, with the methods of `batchlab.studies.store.Store`."""

    def __init__(self, url_or_path: str | os.PathLike[str], *, create: bool = True) -> None:
        path = store.store_path(url_or_path)
        self.url = f"sqlite:///{path}"
        self._place = str(path)
        self._engine = open_file(path, create=create)

    def save_study(self, study_id: str, name: str, spec: StudySpec, info: WorkloadInfo) -> None:
        """See `Store`."""
        latest = sa.select(sa.func.coalesce(sa.func.max(STUDIES.c.saved), 0) + 1).scalar_subquery()
        new = {"name": name, "workload": info.name, "info": _text(info), "saved": latest}
        first = {"id": study_id, "spec": _text(spec), "created": store.utc_now(), "seconds": 0.0, "step_times": "[]"}
        with self._write() as connection:
            connection.execute(insert(STUDIES).values(**first, **new).on_conflict_do_update([STUDIES.c.id], set_=new))

    def study(self, study_id: str) -> StudyRecord:
        """See `Store`."""
        of_study = sa.select(TRIALS.c.result).join(STUDY_TRIALS, STUDY_TRIALS.c.trial_id == TRIALS.c.id)
        of_study = of_study.where(STUDY_TRIALS.c.study_id == study_id).order_by(STUDY_TRIALS.c.position)
        with self._read() as connection:
            row = self._row(connection, study_id)
            texts = connection.execute(of_study).scalars().all()
        trials = tuple(self._record(TrialResult, text) for text in texts)
        return dataclasses.replace(self._outline(row), trials=trials)

    def outline(self, study_id: str) -> StudyRecord:
        """See `Store`."""
        with self._read() as connection:
            return self._outline(self._row(connection, study_id))

    def find(self, name: str) -> str:
        """See `Store`."""
        return store.match_study(name, self.studies(), self._place)

    def studies(self) -> tuple[store.StudySummary, ...]:
        """See `Store`."""
        count = sa.select(sa.func.count()).where(STUDY_TRIALS.c.study_id == STUDIES.c.id).scalar_subquery()
        wanted = (STUDIES.c.id, STUDIES.c.name, STUDIES.c.workload, STUDIES.c.created, count.label("n_trials"))
        query = sa.select(*wanted, DRIVERS).outerjoin_from(STUDIES, DRIVERS).order_by(STUDIES.c.saved)
        with self._read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            store.StudySummary(row.id, row.name, row.workload, row.created, row.n_trials, _live_driver(row))
            for row in rows
        )

    def results(self, trial_ids: Iterable[str]) -> dict[str, TrialResult]:
        """See `Store`."""
        wanted = list(trial_ids)
        found: list[Any] = []
        with self._read() as connection:
            for start in range(0, len(wanted), MOST_PARAMETERS):
                some = TRIALS.c.id.in_(wanted[start : start + MOST_PARAMETERS])
                found += connection.execute(sa.select(TRIALS.c.id, TRIALS.c.result).where(some)).all()
        return {row.id: self._record(TrialResult, row.result) for row in found}

    def add_results(self, study_id: str, results: Mapping[str, TrialResult]) -> None:
        """See `Store`."""
        trials = [{"id": key, "status": result.status, "result": _text(result)} for key, result in results.items()]
        links = [{"study_id": study_id, "trial_id": trial_id} for trial_id in results]
        keep = insert(TRIALS)
        keep = keep.on_conflict_do_update(
            [TRIALS.c.id],
            set_={"status": keep.excluded.status, "result": keep.excluded.result},
            where=TRIALS.c.status == "failed",
        )
        with self._write() as connection:
            self._row(connection, study_id)
            if trials:
                connection.execute(keep, trials)
                connection.execute(insert(STUDY_TRIALS).on_conflict_do_nothing(), links)

    def save_step_times(self, study_id: str, times: Sequence[StepTime]) -> None:
        """See `Store`."""
        self._update_study(study_id, step_times=_text(list(times)))

    def add_seconds(self, study_id: str, seconds: float) -> None:
        """See `Store`."""
        self._update_study(study_id, seconds=STUDIES.c.seconds + seconds)

    @contextlib.contextmanager
    def claim(self, study_id: str) -> Iterator[Callable[[], None]]:
        """See `Store`."""
        token = uuid.uuid4().hex
        name = self._take(study_id, token)
        mine = (DRIVERS.c.study_id == study_id) & (DRIVERS.c.token == token)

        due = time.monotonic() + driver.HEARTBEAT_S

        def touch() -> None:
            nonlocal due
            if time.monotonic() < due:
                return
            due = time.monotonic() + driver.HEARTBEAT_S
            with self._write() as connection:
                found = connection.execute(sa.update(DRIVERS).where(mine).values(heartbeat=time.time())).rowcount
            if not found:
                raise store.taken_over(name)

        try:
            yield touch
        finally:
            # Where the disk is full, say, the claim ends with the process; the error that led here is the one to show.
            with contextlib.suppress(StoreError), self._write() as connection:
                connection.execute(sa.delete(DRIVERS).where(mine))

    def close(self) -> None:
        """See `Store`."""
        self._engine.dispose()

    def _take(self, study_id: str, token: str) -> str:
        """Write this process down as the driver and return the study's name."""
        me = this_driver(store.utc_now())
        with self._write() as connection:
            name = self._row(connection, study_id).name
            row = connection.execute(sa.select(DRIVERS).where(DRIVERS.c.study_id == study_id)).one_or_none()
            store.refuse_if_running(None if row is None else _live_driver(row), name)
            connection.execute(sa.delete(DRIVERS).where(DRIVERS.c.study_id == study_id))
            connection.execute(insert(DRIVERS).values(study_id=study_id, token=token, **to_json(me)))
        return str(name)

    def _update_study(self, study_id: str, **values: Any) -> None:
        with self._write() as connection:
            found = connection.execute(sa.update(STUDIES).where(STUDIES.c.id == study_id).values(**values)).rowcount
        if not found:
            store.raise_not_found(study_id, self.studies(), self._place)

    def _row(self, connection: sa.Connection, study_id: str) -> Any:
        """Return the study's own row; the transaction ends without effect where there is none."""
        row = connection.execute(sa.select(STUDIES).where(STUDIES.c.id == study_id)).one_or_none()
        if row is None:
            store.raise_not_found(study_id, self.studies(), self._place)
        return row

    def _outline(self, row: Any) -> StudyRecord:
        return StudyRecord(
            id=row.id,
            name=row.name,
            spec=self._record(StudySpec, row.spec),
            info=self._record(WorkloadInfo, row.info),
            trials=(),
            step_times=tuple(from_json(StepTime, item) for item in json.loads(row.step_times)),
            created=row.created,
            seconds=row.seconds,
        )

    @contextlib.contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with translated(self._place), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        engine = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        with translated(self._place), engine.begin() as connection:
            yield connection

    def _record(self, kind: type[Record], text: str) -> Record:
        try:
            return from_json(kind, json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"The store {self._place} holds a record that this version of batchlab cannot read ({error}); open "
                "it with the version that wrote it."
            ) from error


def _text(value: Any) -> str:
    return json.dumps(to_json(value), separators=(",", ":"), allow_nan=False)


def _live_driver(row: Any) -> Driver | None:
    if row.token is None:
        return None
    found = Driver(row.host, row.pid, row.process_start, row.since, row.heartbeat)
    return found if is_alive(found) else None
