"""Where trials run: warm worker processes on this machine, one trial and one thread each."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Protocol, Self

from batchlab import errors
from batchlab.errors import BatchlabError, ExecutorError, UsageError
from batchlab.records import StepTime, TrialResult, TrialSettings, WorkloadInfo

SECONDS_BETWEEN_LOOKS = 0.2


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

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """Return the quiet step times; no trial may be running. `on_wait` is called several times a second."""


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
        """Start the workers, one a core by default; they load the workload while the caller goes on."""
        if workers is not None and workers < 1:
            raise UsageError(f"`workers` is a whole number of at least 1, got {workers}; leave it out for one a core.")
        if sys.platform == "win32":
            raise ExecutorError(
                "Studies run on Linux and macOS, and this is Windows; use the Windows Subsystem for Linux."
            )
        self._source = source
        self._workers = [_start() for _ in range(workers or available_cores())]
        for worker in self._workers:
            self._load(worker)

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
        info = self._ask(("inspect", "", device), "load the workload")
        assert isinstance(info, WorkloadInfo)
        return info

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

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """Return step times measured in the first worker with all threads, while the others rest."""
        times = self._ask(("time", "", tuple(settings)), "time steps", on_wait)
        assert isinstance(times, tuple)
        return times

    def _ask(self, message: tuple[Any, ...], purpose: str, on_wait: Callable[[], None] = lambda: None) -> Any:
        """Return the first worker's answer to a message that is about no trial; raises what it answers with."""
        worker = self._workers[0]
        try:
            worker.pipe.send(message)
            while not worker.pipe.poll(SECONDS_BETWEEN_LOOKS):
                on_wait()
            _, _, *content = worker.pipe.recv()
        except (EOFError, OSError):
            code = worker.process.wait()
            raise ExecutorError(
                f"A worker process was to {purpose} ({self._source.reference}), but ended with {_ending(code)}; "
                "mend what it printed above, and run the command again."
            ) from None
        if len(content) == 1:
            return content[0]
        raise _as_error(content[0], content[1], purpose, self._source.reference)

    def _load(self, worker: _Worker) -> None:
        # A worker that died meanwhile is noticed when its pipe is read.
        with suppress(OSError):
            worker.pipe.send(("load", "", self._source))

    def _bury(self, worker: _Worker) -> Event | None:
        code = worker.process.wait()
        key = worker.key
        worker.pipe.close()
        if key is None:
            raise ExecutorError(
                f"A worker process was to load {self._source.reference}, but ended with {_ending(code)}; mend what it "
                "printed above, and run the command again."
            )
        replacement = _start()
        self._workers[self._workers.index(worker)] = replacement
        self._load(replacement)
        return Event(key, error=f"The worker process ended with {_ending(code)}.")


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start() -> _Worker:
    """Start a worker that Ctrl-C does not reach, not even while it imports torch."""
    ours, theirs = socket.socketpair()
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "batchlab.studies.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=sys.__stderr__,
        )
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, before)
    theirs.close()
    return _Worker(process, Connection(ours.detach()))


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _as_error(name: str, text: str, purpose: str, reference: str) -> BatchlabError:
    kind = getattr(errors, name, None) if name else None
    if isinstance(kind, type) and issubclass(kind, BatchlabError):
        return kind(text)
    last_line = text.strip().splitlines()[-1]
    return ExecutorError(
        f"A worker process was to {purpose} ({reference}), but this was raised: {last_line}; mend it and run the "
        f"command again.\n{text.rstrip()}"
    )
