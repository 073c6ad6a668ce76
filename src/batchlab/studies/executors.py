"""Where trials run: warm worker processes on this machine, one trial and one thread each."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Protocol, Self

from batchlab import errors
from batchlab.errors import BatchlabError, ExecutorError
from batchlab.records import StepTime, TrialResult, TrialSettings, WorkloadInfo


@dataclass(frozen=True, slots=True)
class WorkloadSource:
    """How a worker comes by the workload: it loads `reference` itself, or unpickles a live object."""

    reference: str
    data_dir: str | None = None
    pickled: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """What came of a trial: its result, the examples it has seen so far, or the text of what went wrong."""

    key: str
    result: TrialResult | None = None
    examples: int | None = None
    error: str | None = None


class Executor(Protocol):
    """Runs trials and hands results back; it writes nothing."""

    def free(self) -> int:
        """Return how many more trials can start now."""

    def submit(self, key: str, settings: TrialSettings) -> None:
        """Start a trial; there must be a free place."""

    def next_event(self, timeout_s: float) -> Event | None:
        """Return the next thing to be known of a running trial, or None when the time is up."""

    def time_steps(self, settings: Sequence[TrialSettings]) -> tuple[StepTime, ...]:
        """Return the quiet step times; no trial may be running."""


@dataclass
class _Worker:
    """One worker process, our end of its pipe, and the trial it runs."""

    process: subprocess.Popen[bytes]
    pipe: Connection
    key: str | None = None


class LocalExecutor:
    """Worker processes on this machine, as a context manager.

    torch is imported once a worker. A worker that dies fails the trial it ran and is replaced.
    """

    def __init__(self, source: WorkloadSource, *, workers: int | None = None) -> None:
        """Start the workers; they load the workload while the caller goes on."""
        self._source = source
        self._workers = [self._start() for _ in range(workers or available_cores())]

    def __enter__(self) -> Self:
        """Return the executor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers, trials under way included."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.kill()
        for worker in self._workers:
            worker.process.wait()

    def inspect(self, device: str = "cpu") -> WorkloadInfo:
        """Return what the first worker finds out about the workload; raises what loading it, or the device, raised."""
        info = self._ask(("inspect", "", device))
        assert isinstance(info, WorkloadInfo)
        return info

    def use(self, source: WorkloadSource) -> None:
        """Go on with another workload in the same workers."""
        self._source = source
        for worker in self._workers:
            worker.pipe.send(("load", "", source))

    def free(self) -> int:
        """Return how many workers have no trial."""
        return sum(worker.key is None for worker in self._workers)

    def submit(self, key: str, settings: TrialSettings) -> None:
        """Send a trial to a free worker."""
        worker = next(worker for worker in self._workers if worker.key is None)
        worker.key = key
        try:
            worker.pipe.send(("trial", key, settings))
        except OSError:
            pass  # Its death is read from the pipe by next_event, which fails the trial and replaces the worker.

    def next_event(self, timeout_s: float) -> Event | None:
        """Return the next event of a running trial, or None when the time is up."""
        for ready in wait([worker.pipe for worker in self._workers], timeout_s):
            worker = next(worker for worker in self._workers if worker.pipe is ready)
            try:
                kind, key, *content = worker.pipe.recv()
            except (EOFError, OSError):
                return self._bury(worker)
            if kind == "progress":
                return Event(key, examples=content[0])
            if worker.key is not None and key == worker.key:
                worker.key = None
            if kind == "result":
                return Event(key, result=content[0])
            return Event(key, error="\n".join(part for part in content if part))
        return None

    def time_steps(self, settings: Sequence[TrialSettings]) -> tuple[StepTime, ...]:
        """Return step times measured in the first worker with all threads, while the others rest."""
        times = self._ask(("time", "times", tuple(settings), None))
        assert isinstance(times, tuple)
        return times

    def _ask(self, message: tuple[Any, ...]) -> Any:
        worker = self._workers[0]
        try:
            worker.pipe.send(message)
            _, _, *content = worker.pipe.recv()
        except (EOFError, OSError):
            code = worker.process.wait()
            raise ExecutorError(
                f"A worker process should have loaded {self._source.reference}, but ended with {_ending(code)}; "
                "what it printed is above."
            ) from None
        if len(content) == 1:
            return content[0]
        raise _as_error(content[0], content[1])

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            [sys.executable, "-m", "batchlab.studies.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=sys.__stderr__,
        )
        theirs.close()
        worker = _Worker(process, Connection(ours.detach()))
        worker.pipe.send(("load", "", self._source))
        return worker

    def _bury(self, worker: _Worker) -> Event | None:
        code = worker.process.wait()
        key = worker.key
        worker.pipe.close()
        self._workers[self._workers.index(worker)] = self._start()
        if key is None:
            raise ExecutorError(f"A worker process ended with {_ending(code)} before it could run a trial.")
        return Event(key, error=f"The worker process ended with {_ending(code)}.")


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _as_error(name: str, text: str) -> BatchlabError:
    kind = getattr(errors, name, None) if name else None
    if isinstance(kind, type) and issubclass(kind, BatchlabError):
        return kind(text)
    return ExecutorError(f"The workload could not be loaded; what was raised:\n{text}")
