"""A study under way, as its driver knows it."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from batchlab.records import StepTime, StudySpec, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.executors import Executor
from batchlab.studies.progress import Progress, ProgressState
from batchlab.studies.running import Limits, Running, work_of
from batchlab.studies.store import Store
from batchlab.studies.tally import Queue, Tally


@dataclass
class Drive:
    """What there is to do, what is at work, and what has come of it; `elsewhere` are trials that other drivers run."""

    spec: StudySpec
    info: WorkloadInfo
    store: Store
    executor: Executor
    progress: Progress
    study_id: str
    name: str
    limits: Limits
    started: float = field(default_factory=time.monotonic)
    results: dict[str, TrialResult] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    queue: Queue = field(default_factory=lambda: Queue(()))
    tally: Tally = field(init=False)
    n_failed: int = 0
    work_done: float = 0.0
    stopping: bool = False
    shown: float = -math.inf
    elsewhere: list[TrialSettings] = field(default_factory=list)
    looked: float = -math.inf
    step_times: tuple[StepTime, ...] = ()

    def __post_init__(self) -> None:
        """Begin to count."""
        self.tally = Tally(self.spec, self.info)

    @property
    def time_is_up(self) -> bool:
        """Return whether no more trials may begin."""
        return self.limits.minutes is not None and time.monotonic() - self.started > 60 * self.limits.minutes

    def keep(self, results: Mapping[str, TrialResult]) -> None:
        """Store results and count them."""
        self.store.add_results(self.study_id, results)
        self.results |= results
        for result in results.values():
            self.tally.add(result)

    def state(self, stage: str, n_expected: int = 0, mean_work: float = 0.0) -> ProgressState:
        """Return where the study stands, for whoever watches.

        Args:
            stage: of the plan.
            n_expected: trials of the whole study, as far as can be told.
            mean_work: of a trial that is not known yet.
        """
        done, waiting = len(self.results), len(self.running) + len(self.queue)
        elapsed = time.monotonic() - self.started
        work_left = self.queue.work + sum(work_of(one.settings) for one in self.running.values()) / 2
        work_left += max(0, n_expected - done - waiting) * mean_work
        return ProgressState(
            study_name=self.name,
            stage=stage,
            done=done,
            total=max(n_expected, done),
            running=tuple(map(str, self.running.values())),
            best=self.tally.best(),
            seconds=elapsed,
            seconds_left=elapsed * work_left / self.work_done if self.work_done else None,
        )
