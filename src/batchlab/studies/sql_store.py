"""The store in a database: in an SQLite file, or on a PostgreSQL server for many machines and people."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa

from batchlab.errors import StoreError
from batchlab.records import Record, StepTime, StudyRecord, StudySpec, TrialResult, WorkloadInfo, from_json, to_json
from batchlab.studies import store
from batchlab.studies.driver import is_alive
from batchlab.studies.sql_claims import SqlClaim, claimed, driver_in
from batchlab.studies.sql_tables import DRIVERS, RUNNING, STUDIES, STUDY_TRIALS, TRIALS, Database

# SQLite allows 32,766 parameters in one statement, PostgreSQL 65,535.
MOST_PARAMETERS = 10_000


class SqlStore:
    """A store in a database, with the methods of `batchlab.studies.store.Store`."""

    def __init__(self, database: Database, on_notice: Callable[[str], None] = lambda _: None) -> None:
        self.url = database.url
        self._database = database
        self._place = database.place
        self._notice = on_notice

    def save_study(self, study_id: str, name: str, spec: StudySpec, info: WorkloadInfo) -> None:
        """See `Store`."""
        latest = sa.select(sa.func.coalesce(sa.func.max(STUDIES.c.saved), 0) + 1).scalar_subquery()
        new = {"name": name, "workload": info.name, "info": _text(info), "saved": latest}
        first = {"id": study_id, "spec": _text(spec), "created": store.utc_now(), "seconds": 0.0, "step_times": "[]"}
        save = self._database.insert(STUDIES).values(**first, **new)
        save = save.on_conflict_do_update(index_elements=[STUDIES.c.id], set_=new)
        self._database.write(lambda connection: connection.execute(save))

    def study(self, study_id: str) -> StudyRecord:
        """See `Store`."""
        of_study = sa.select(TRIALS.c.result).join(STUDY_TRIALS, STUDY_TRIALS.c.trial_id == TRIALS.c.id)
        of_study = of_study.where(STUDY_TRIALS.c.study_id == study_id).order_by(STUDY_TRIALS.c.position)

        def work(connection: sa.Connection) -> tuple[Any, Sequence[str]]:
            return self._row(connection, study_id), connection.execute(of_study).scalars().all()

        row, texts = self._database.read(work)
        trials = tuple(self._record(TrialResult, text) for text in texts)
        return dataclasses.replace(self._outline(row), trials=trials)

    def outline(self, study_id: str) -> StudyRecord:
        """See `Store`."""
        return self._outline(self._database.read(lambda connection: self._row(connection, study_id)))

    def find(self, name: str) -> str:
        """See `Store`."""
        return store.match_study(name, self.studies(), self._place)

    def studies(self) -> tuple[store.StudySummary, ...]:
        """See `Store`."""
        count = sa.select(sa.func.count()).where(STUDY_TRIALS.c.study_id == STUDIES.c.id).scalar_subquery()
        wanted = (STUDIES.c.id, STUDIES.c.name, STUDIES.c.workload, STUDIES.c.created, count.label("n_trials"))
        query = sa.select(*wanted, DRIVERS).outerjoin_from(STUDIES, DRIVERS).order_by(STUDIES.c.saved)
        rows, now = self._database.read(lambda one: (one.execute(query).all(), self._database.now(one)))
        return tuple(
            store.StudySummary(
                id=row.id,
                name=row.name,
                workload=row.workload,
                created=row.created,
                n_trials=row.n_trials,
                driver=driver_in(row) if row.token is not None and is_alive(driver_in(row), now) else None,
            )
            for row in rows
        )

    def results(self, trial_ids: Iterable[str]) -> dict[str, TrialResult]:
        """See `Store`."""
        wanted = list(trial_ids)

        def work(connection: sa.Connection) -> list[Any]:
            found: list[Any] = []
            for start in range(0, len(wanted), MOST_PARAMETERS):
                some = TRIALS.c.id.in_(wanted[start : start + MOST_PARAMETERS])
                found += connection.execute(sa.select(TRIALS.c.id, TRIALS.c.result).where(some)).all()
            return found

        return {row.id: self._record(TrialResult, row.result) for row in self._database.read(work)}

    def add_results(self, study_id: str, results: Mapping[str, TrialResult]) -> None:
        """See `Store`."""
        # In one order, so that two who add the same trials do not wait for each other in a circle.
        trials = [{"id": key, "status": one.status, "result": _text(one)} for key, one in sorted(results.items())]
        links = [{"study_id": study_id, "trial_id": trial_id} for trial_id in results]
        insert = self._database.insert
        keep = insert(TRIALS)
        keep = keep.on_conflict_do_update(
            index_elements=[TRIALS.c.id],
            set_={"status": keep.excluded.status, "result": keep.excluded.result},
            where=TRIALS.c.status == "failed",
        )
        mine = RUNNING.c.study_id == study_id
        done = sa.delete(RUNNING).where(mine, RUNNING.c.trial_id == sa.bindparam("done"))

        def work(connection: sa.Connection) -> None:
            self._row(connection, study_id)
            if trials:
                connection.execute(keep, trials)
                connection.execute(insert(STUDY_TRIALS).on_conflict_do_nothing(), links)
                connection.execute(done, [{"done": trial_id} for trial_id in results])

        self._database.write(work)

    def save_step_times(self, study_id: str, times: Sequence[StepTime]) -> None:
        """See `Store`."""
        self._update_study(study_id, step_times=_text(list(times)))

    def add_seconds(self, study_id: str, seconds: float) -> None:
        """See `Store`."""
        # A sum that is written twice, after a lost connection, is still the sum.
        self._update_study(study_id, seconds=self.outline(study_id).seconds + seconds)

    def claim(self, study_id: str) -> AbstractContextManager[SqlClaim]:
        """See `Store`."""
        self._database.read(lambda connection: self._row(connection, study_id))
        return claimed(self._database, study_id, self._notice)

    def close(self) -> None:
        """See `Store`."""
        self._database.close()

    def _update_study(self, study_id: str, **values: Any) -> None:
        update = sa.update(STUDIES).where(STUDIES.c.id == study_id).values(**values)

        def work(connection: sa.Connection) -> None:
            self._row(connection, study_id)
            connection.execute(update)

        self._database.write(work)

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
