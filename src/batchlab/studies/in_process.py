"""Trials in the calling process, one after another: for live workloads that cannot travel to another one."""

import traceback
from collections.abc import Callable, Sequence

import torch

from batchlab.records import StepTime, TrialSettings, WorkloadInfo
from batchlab.studies.executors import Event
from batchlab.train.devices import check_device
from batchlab.train.inspection import inspect_workload
from batchlab.train.threads import thread_counts
from batchlab.train.timing import time_steps
from batchlab.train.trial import run_trial
from batchlab.workload import Workload


class InProcessExecutor:
    """Runs a trial when its event is asked for. Nothing guards against a hang or a crash, as a process would."""

    def __init__(self, workload: Workload, reference: str) -> None:
        """Take a live workload; nothing runs yet."""
        self._workload, self._reference = workload, reference
        self._waiting: tuple[str, TrialSettings] | None = None

    def inspect(self, device: str = "cpu") -> WorkloadInfo:
        """Return what there is to know of the workload."""
        check_device(device)
        return inspect_workload(self._workload, self._reference, device)

    def free(self) -> int:
        """Return 1 where no trial waits."""
        return int(self._waiting is None)

    def submit(self, key: str, settings: TrialSettings) -> None:
        """Take a trial."""
        self._waiting = (key, settings)

    def cancel(self, key: str, reason: str) -> None:
        """Do nothing: by the time anybody can ask, the trial has ended."""

    def next_event(self, timeout_s: float) -> Event | None:
        """Run the trial that waits, however long it takes."""
        if self._waiting is None:
            return None
        (key, settings), self._waiting = self._waiting, None
        try:
            return Event(key, result=run_trial(self._workload, settings))
        except (Exception, SystemExit):
            return Event(key, error=traceback.format_exc())

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """Return step times, measured here with at most the threads that torch has here."""
        return time_steps(self._workload, settings, threads=thread_counts(torch.get_num_threads()))
