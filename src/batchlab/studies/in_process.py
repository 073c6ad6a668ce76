"""Trials in the calling process, one after another: for live workloads that cannot travel to another one."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from batchlab.measure.block_timing import Steps
from batchlab.records import StepTime, TrialSettings, WorkloadInfo
from batchlab.studies.executors import Event
from batchlab.studies.layout import PACE_S, Layout, Machine, Rehearsal, Sample, choose_layout
from batchlab.train.devices import check_device
from batchlab.train.energy import quiet_pass
from batchlab.train.inspection import inspect_workload
from batchlab.train.rehearsal import free_memory, pace, rehearse
from batchlab.train.threads import thread_counts
from batchlab.train.trial import run_trial
from batchlab.workload import Workload


class InProcessExecutor:
    """Runs a trial when its event is asked for. Nothing guards against a hang or a crash, as a process would."""

    def __init__(self, workload: Workload, reference: str) -> None:
        """Take a live workload; nothing runs yet."""
        self._workload, self._reference = workload, reference
        self._waiting: tuple[str, TrialSettings] | None = None
        self._n_parameters = 0

    def inspect(self, device: str = "cpu") -> WorkloadInfo:
        """Return what there is to know of the workload; a GPU that is named becomes the current one."""
        check_device(device)
        kind, _, index = device.partition(":")
        if index:
            torch.cuda.set_device(device)
        info = inspect_workload(self._workload, self._reference, kind)
        self._n_parameters = info.n_parameters
        return info

    def settle(self, trials: Sequence[TrialSettings], threads: int | None, on_wait: Callable[[], None]) -> int:
        """Return how many threads each trial is to have: one, or all where that is measured to be faster."""
        machine = Machine(torch.get_num_threads(), gpus=int(trials[0].device != "cpu"), workers=1)
        bench = _Bench(self._workload)
        try:
            with _threads(1):
                return choose_layout(trials, machine, self._n_parameters, threads, bench).threads
        except (Exception, SystemExit):
            # What is wrong will show in the trials.
            return threads or 1

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
            with _threads(settings.threads):
                return Event(key, result=run_trial(self._workload, settings))
        except (Exception, SystemExit):
            return Event(key, error=traceback.format_exc())

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """Return step times, measured here with at most the threads that torch has here."""
        return quiet_pass(self._workload, settings, threads=thread_counts(torch.get_num_threads()))


@dataclass(slots=True)
class _Bench:
    """Tries layouts in this process; see `Bench`."""

    workload: Workload
    steppers: list[Steps] = field(default_factory=list)

    def rehearse(self, samples: Sequence[Sample]) -> Rehearsal:
        """See `Bench`."""
        settings = [sample.settings for sample in samples]
        free = free_memory(settings[0].device)
        self.steppers, seconds, memory = rehearse(self.workload, settings)
        return Rehearsal(tuple(seconds), memory, free)

    def steps_per_s(self, layout: Layout, samples: Sequence[Sample]) -> list[float]:
        """See `Bench`."""
        return [pace(step, layout.threads, PACE_S) for step in self.steppers]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Give torch so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
