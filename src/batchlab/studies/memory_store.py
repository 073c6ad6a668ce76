"""The store in memory: for tests, and for machines without SQLAlchemy."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from batchlab.records import StepTime, StudyRecord, StudySpec, TrialResult, WorkloadInfo
from batchlab.studies.driver import Driver, is_alive, this_driver
from batchlab.studies.store import StudySummary, match_study, raise_not_found, running, taken_over, utc_now
from batchlab.studies.store_addresses import IN_MEMORY


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
    """A store that lives as long as the object."""

    def __init__(self) -> None:
        self.url = IN_MEMORY
        self._kept: dict[str, _Kept] = {}
        self._results: dict[str, TrialResult] = {}
        self._taken: dict[str, str] = {}
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
                if self._taken.get(trial_id) == study_id:
                    del self._taken[trial_id]

    def save_step_times(self, study_id: str, times: Sequence[StepTime]) -> None:
        """See `Store`."""
        with self._lock:
            self._get(study_id).step_times = tuple(times)

    def add_seconds(self, study_id: str, seconds: float) -> None:
        """See `Store`."""
        with self._lock:
            self._get(study_id).seconds += seconds

    @contextlib.contextmanager
    def claim(self, study_id: str) -> Iterator["MemoryClaim"]:
        """See `Store`."""
        with self._lock:
            kept = self._get(study_id)
            if kept.driver is not None and is_alive(kept.driver, time.time()):
                raise running(kept.driver, kept.name)
            kept.driver, kept.claim = this_driver(utc_now(), time.time()), (mine := MemoryClaim(self, study_id))
        try:
            yield mine
        finally:
            with self._lock:
                if kept.claim is mine:
                    kept.driver = kept.claim = None
                    self._taken = {trial: study for trial, study in self._taken.items() if study != study_id}

    def touch(self, study_id: str, claim: "MemoryClaim") -> None:
        """Take a sign of life."""
        with self._lock:
            kept = self._get(study_id)
            if kept.claim is not claim or kept.driver is None:
                raise taken_over(kept.name)
            kept.driver = replace(kept.driver, heartbeat=time.time())

    def take(self, study_id: str, trial_id: str) -> bool:
        """Give a trial to a driver, unless another one has it."""
        with self._lock:
            result = self._results.get(trial_id)
            if result is not None and result.status != "failed":
                return False
            return self._taken.setdefault(trial_id, study_id) == study_id

    def close(self) -> None:
        """See `Store`."""

    def _get(self, study_id: str) -> _Kept:
        if study_id not in self._kept:
            raise_not_found(study_id, self.studies(), self.url)
        return self._kept[study_id]


@dataclass(frozen=True, eq=False, slots=True)
class MemoryClaim:
    """See `Claim`."""

    store: MemoryStore
    study_id: str

    def touch(self) -> None:
        """See `Claim`."""
        self.store.touch(self.study_id, self)

    def take(self, trial_id: str) -> bool:
        """See `Claim`."""
        return self.store.take(self.study_id, trial_id)
