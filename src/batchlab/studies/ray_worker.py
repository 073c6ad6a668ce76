"""A worker of a Ray cluster: an actor that loads the workload once and runs the trials it is given, one at a time.

Methods answer (value, "", "") or, where something was raised, (None, EXCEPTION_NAME, TEXT), so that what users' code
raises need not be known where the driver runs.
"""

import dataclasses
import os
import platform
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from batchlab.records import TrialSettings
from batchlab.studies.executors import WorkloadSource, available_cores
from batchlab.studies.output import KEPT, Tail
from batchlab.studies.worker import described, load_source
from batchlab.train.energy import quiet_pass
from batchlab.train.inspection import inspect_workload
from batchlab.train.threads import thread_counts
from batchlab.train.trial import run_trial
from batchlab.workload import Workload

Answer = tuple[Any, str, str]


class RayWorker:
    """One worker: `watch` may be called while another method is at work, and only it."""

    def __init__(self, source: WorkloadSource, pickled: Any) -> None:
        """Take how to come by the workload; a live one comes as an array of bytes, once to each machine."""
        self._source = source if pickled is None else dataclasses.replace(source, pickled=pickled.tobytes())
        self._workload: Workload | None = None
        self._examples: int | None = None
        self._lines: deque[str] = deque(maxlen=KEPT)
        _redirect_output(self._lines.append)

    def load(self) -> Answer:
        """Load the workload, and return the name of the machine."""

        def work() -> str:
            self._workload = load_source(self._source)
            self._source = dataclasses.replace(self._source, pickled=None)
            return platform.node()

        return _answered(work)

    def inspect(self, device: str) -> Answer:
        """Return what there is to know of the workload."""
        return _answered(lambda: inspect_workload(self._loaded(), self._source.reference, device))

    def run(self, settings: TrialSettings) -> Answer:
        """Return the result of a trial."""
        # At each trial: users' code may have set it.
        torch.set_num_threads(settings.threads)
        self._examples = 0
        return _answered(lambda: run_trial(self._loaded(), settings, on_evaluation=self._hear))

    def watch(self) -> tuple[int | None, list[str]]:
        """Return the examples that the trial at work has seen, and what was printed since the last call."""
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        return self._examples, lines

    def time(self, settings: Sequence[TrialSettings]) -> Answer:
        """Return the quiet step times."""
        on_cores = settings[0].device == "cpu"
        threads = thread_counts(available_cores()) if on_cores else available_cores()
        return _answered(lambda: quiet_pass(self._loaded(), settings, threads=threads))

    def _hear(self, examples: int) -> None:
        self._examples = examples

    def _loaded(self) -> Workload:
        assert self._workload is not None
        return self._workload


def _answered(work: Callable[[], Any]) -> Answer:
    try:
        return work(), "", ""
    except (Exception, SystemExit) as error:
        return (None, *described(error))


def _redirect_output(take: Callable[[str], None]) -> None:
    """Have all that is printed here, and by processes started here, taken line by line instead of logged by Ray."""
    reading, writing = os.pipe()
    for descriptor in (1, 2):
        os.dup2(writing, descriptor)
    os.close(writing)
    sys.stdout, sys.stderr = (open(one, "w", buffering=1, closefd=False) for one in (1, 2))
    Tail(reading, take)
