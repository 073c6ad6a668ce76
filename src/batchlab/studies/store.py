"""Where studies are kept: what a store can do, how one is opened, and the store in memory.

A store holds many studies, and one result per trial however many studies want it: a trial is known by the hash of its
settings, so a study finds the results of earlier ones. The driver of a study is its only writer, which a claim ensures.
"""

import contextlib
import datetime
import difflib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, Protocol

from batchlab.errors import MissingPackage, StoreError, StudyNotFound, StudyRunning
from batchlab.records import StepTime, StudyRecord, StudySpec, TrialResult, WorkloadInfo
from batchlab.studies.driver import Driver, is_alive, this_driver

DEFAULT_STORE = "batchlab.db"
IN_MEMORY = "memory:"
SHORT_ID = 8


@dataclass(frozen=True, slots=True)
class StudySummary:
    """One line about a study; `driver` is the process that works on it now, None when none does."""

    id: str
    name: str
    workload: str
    created: str
    n_trials: int
    driver: Driver | None


class Store(Protocol):
    """What a study needs of the place it is kept in; every method has taken effect when it returns."""

    @property
    def url(self) -> str:
        """The address that opens this store again."""

    def save_study(self, study_id: str, name: str, spec: StudySpec, info: WorkloadInfo) -> None:
        """Keep a study, or give the one with this id its new name and workload; it becomes the latest."""

    def study(self, study_id: str) -> StudyRecord:
        """Return all that is known of a study, its trials in the order in which they were added to it."""

    def outline(self, study_id: str) -> StudyRecord:
        """Return what is known of a study but its trials, which are left out: quick, however many there are."""

    def find(self, name: str) -> str:
        """Return the id of the study with this name or start of an id, or of the one saved last for "latest"."""

    def studies(self) -> tuple[StudySummary, ...]:
        """Return a summary of every study, the one saved last at the end."""

    def results(self, trial_ids: Iterable[str]) -> dict[str, TrialResult]:
        """Return those of the results that are in the store, whichever study they were made for."""

    def add_results(self, study_id: str, results: Mapping[str, TrialResult]) -> None:
        """Keep results, all or none, as trials of this study; of two results of one trial the first is kept.

        Only a failure gives way to a later result: failed trials may be tried again. A result that came from another
        study is passed again, to make it a trial of this one too.
        """

    def save_step_times(self, study_id: str, times: Sequence[StepTime]) -> None:
        """Keep the step times of a study in place of earlier ones."""

    def add_seconds(self, study_id: str, seconds: float) -> None:
        """Add to the seconds spent on a study."""

    def claim(self, study_id: str) -> AbstractContextManager[Callable[[], None]]:
        """Make this process the driver of a study for the length of a `with`; it gives `touch`, the heartbeat.

        Call `touch` as often as you like, but several times a minute: a driver on another machine that is silent for
        a minute counts as dead.

        Raises:
            StudyRunning: another driver is at work; from `touch`, another driver took over meanwhile.
        """

    def close(self) -> None:
        """Let go of files and connections."""


def open_store(url_or_path: str | os.PathLike[str] = DEFAULT_STORE, *, create: bool = True) -> Store:
    """Return the store at a path, at sqlite:///PATH, or a new one in memory for "memory:".

    Raises:
        StoreError: the place cannot be used; with `create=False` also where there is no store yet.
    """
    if os.fspath(url_or_path) == IN_MEMORY:
        return MemoryStore()
    try:
        from batchlab.studies.sql_store import SqlStore
    except ModuleNotFoundError as error:
        raise MissingPackage(
            "A store in a file needs the package sqlalchemy, which is not installed; run `pip install sqlalchemy`, "
            f'or keep the study in memory with the store "{IN_MEMORY}".'
        ) from error
    return SqlStore(url_or_path, create=create)


def store_path(url_or_path: str | os.PathLike[str]) -> Path:
    """Return the absolute path that a path or sqlite:///PATH means.

    >>> store_path("sqlite:////data/batchlab.db").as_posix()
    '/data/batchlab.db'
    """
    text = os.fspath(url_or_path)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if scheme and not text.startswith("sqlite:///"):
        # Only the scheme is repeated: an address may hold a password.
        raise StoreError(
            f"A store is a file, given as a path or as sqlite:///PATH, got an address that starts with "
            f"{scheme.group()}; give a path, as in {DEFAULT_STORE}."
        )
    path = text.removeprefix("sqlite:///")
    if not path:
        raise StoreError(f"A store is a file, got an empty path; give one, as in {DEFAULT_STORE}.")
    return Path(path).expanduser().absolute()


def match_study(name: str, studies: Sequence[StudySummary], place: str) -> str:
    """Return the id of the one study that `name` means: an exact name, then "latest", then the start of an id."""
    if studies and name == "latest":
        return studies[-1].id
    matches = [study for study in studies if study.name == name] or [
        study for study in studies if name and study.id.startswith(name)
    ]
    if len(matches) == 1:
        return matches[0].id
    if matches:
        found = ", ".join(f"{study.name} ({study.id[:SHORT_ID]}, {study.created})" for study in matches)
        raise StudyNotFound(f"One study was asked for, and {name!r} means {len(matches)}: {found}; give the id of one.")
    raise_not_found(name, studies, place)


def raise_not_found(name: str, studies: Sequence[StudySummary], place: str) -> NoReturn:
    """Raise the `StudyNotFound` that says what the store has instead."""
    if not studies:
        raise StudyNotFound(
            f"There is no study {name!r}: the store {place} is empty; start one with `batchlab study digits-mlp`, or "
            "name another store with `--store`."
        )
    near = difflib.get_close_matches(name, dict.fromkeys(study.name for study in studies), n=3, cutoff=0.4)
    has = f"the nearest are {', '.join(near)}" if near else f"it has {len(studies)} under other names"
    raise StudyNotFound(f"There is no study {name!r} in the store {place}; {has}; `batchlab list` shows all of them.")


def refuse_if_running(driver: Driver | None, name: str) -> None:
    """Raise `StudyRunning` where the driver found in a store is alive."""
    if driver is not None and is_alive(driver):
        raise StudyRunning(
            f"A study has one driver at a time, and process {driver.pid} on {driver.host} has worked on {name!r} since "
            f"{driver.since}; wait until it is done, or stop it and try again."
        )


def taken_over(name: str) -> StudyRunning:
    """Return the error of a driver whose heartbeat came too late."""
    return StudyRunning(
        f"A study has one driver at a time, and another one has taken over {name!r} while this one was silent; "
        "let that one finish: the results so far are kept."
    )


def utc_now() -> str:
    """Return the time as stores write it: ISO 8601 in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclass(slots=True)
class _Kept:
    """A study in memory."""

    name: str
    spec: StudySpec
    info: WorkloadInfo
    created: str
    seconds: float = 0.0
    step_times: tuple[StepTime, ...] = ()
    trial_ids: dict[str, None] = field(default_factory=dict)
    driver: Driver | None = None
    claim: object = None


class MemoryStore:
    """A store that lives as long as the object: for tests, and for machines without SQLAlchemy."""

    def __init__(self) -> None:
        self.url = IN_MEMORY
        self._kept: dict[str, _Kept] = {}
        self._results: dict[str, TrialResult] = {}
        self._lock = threading.RLock()

    def save_study(self, study_id: str, name: str, spec: StudySpec, info: WorkloadInfo) -> None:
        """See `Store`."""
        with self._lock:
            kept = self._kept.pop(study_id, None) or _Kept(name, spec, info, utc_now())
            kept.name, kept.info = name, info
            self._kept[study_id] = kept

    def study(self, study_id: str) -> StudyRecord:
        """See `Store`."""
        with self._lock:
            trials = tuple(self._results[trial_id] for trial_id in self._get(study_id).trial_ids)
            return replace(self.outline(study_id), trials=trials)

    def outline(self, study_id: str) -> StudyRecord:
        """See `Store`."""
        with self._lock:
            kept = self._get(study_id)
            return StudyRecord(
                study_id, kept.name, kept.spec, kept.info, (), kept.step_times, kept.created, kept.seconds
            )

    def find(self, name: str) -> str:
        """See `Store`."""
        return match_study(name, self.studies(), self.url)

    def studies(self) -> tuple[StudySummary, ...]:
        """See `Store`."""
        with self._lock:
            return tuple(
                StudySummary(key, kept.name, kept.info.name, kept.created, len(kept.trial_ids), kept.driver)
                for key, kept in self._kept.items()
            )

    def results(self, trial_ids: Iterable[str]) -> dict[str, TrialResult]:
        """See `Store`."""
        with self._lock:
            return {trial_id: self._results[trial_id] for trial_id in trial_ids if trial_id in self._results}

    def add_results(self, study_id: str, results: Mapping[str, TrialResult]) -> None:
        """See `Store`."""
        with self._lock:
            kept = self._get(study_id)
            for trial_id, result in results.items():
                if trial_id not in self._results or self._results[trial_id].status == "failed":
                    self._results[trial_id] = result
                kept.trial_ids[trial_id] = None

    def save_step_times(self, study_id: str, times: Sequence[StepTime]) -> None:
        """See `Store`."""
        with self._lock:
            self._get(study_id).step_times = tuple(times)

    def add_seconds(self, study_id: str, seconds: float) -> None:
        """See `Store`."""
        with self._lock:
            self._get(study_id).seconds += seconds

    @contextlib.contextmanager
    def claim(self, study_id: str) -> Iterator[Callable[[], None]]:
        """See `Store`."""
        token = object()
        with self._lock:
            kept = self._get(study_id)
            refuse_if_running(kept.driver, kept.name)
            kept.driver, kept.claim = this_driver(utc_now()), token

        def touch() -> None:
            with self._lock:
                if kept.claim is not token or kept.driver is None:
                    raise taken_over(kept.name)
                kept.driver = replace(kept.driver, heartbeat=time.time())

        try:
            yield touch
        finally:
            with self._lock:
                if kept.claim is token:
                    kept.driver = kept.claim = None

    def close(self) -> None:
        """See `Store`."""

    def _get(self, study_id: str) -> _Kept:
        if study_id not in self._kept:
            raise_not_found(study_id, self.studies(), self.url)
        return self._kept[study_id]
