"""Where studies are kept: what a store can do, and how one is opened.

A store holds many studies, and one result per trial however many studies want it: a trial is known by the hash of its
settings, so a study finds the results of earlier ones, and of others at work. The driver of a study is its only writer,
which a claim ensures.
"""

import datetime
import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn, Protocol

from batchlab.errors import StudyNotFound, StudyRunning
from batchlab.records import StepTime, StudyRecord, StudySpec, TrialResult, WorkloadInfo
from batchlab.studies.driver import Driver

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


class Claim(Protocol):
    """What the driver of a study may do, and must: see `Store.claim`."""

    def touch(self) -> None:
        """Give a sign of life; call it as often as you like, but several times a minute.

        Raises:
            StudyRunning: another driver took over, as this one was silent.
        """

    def take(self, trial_id: str) -> bool:
        """Return whether this driver is to run a trial, which is then its own until its result is added.

        It is not where the driver of another study runs it at this moment, or has brought its result meanwhile.
        """


class Store(Protocol):
    """What a study needs of the place it is kept in; every method has taken effect when it returns."""

    @property
    def url(self) -> str:
        """The address of this store as it may be shown: without a password."""

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

    def claim(self, study_id: str) -> AbstractContextManager[Claim]:
        """Make this process the driver of a study for the length of a `with`.

        Raises:
            StudyRunning: another driver is at work.
        """

    def close(self) -> None:
        """Let go of files and connections."""


def known_study(store: Store, study_id: str) -> StudyRecord | None:
    """Return a study as it was left, without its trials, None where it is new."""
    try:
        return store.outline(study_id)
    except StudyNotFound:
        return None


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


def running(driver: Driver, name: str) -> StudyRunning:
    """Return the error of a driver that comes second."""
    whose = f", started by {driver.owner}," if driver.owner else ""
    return StudyRunning(
        f"A study has one driver at a time, and process {driver.pid} on {driver.host}{whose} has worked on {name!r} "
        f"since {driver.since}; wait until it is done, or stop it and try again."
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
