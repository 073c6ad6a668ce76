"""Where trials run: warm worker processes on this machine, one trial and one thread each."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Protocol, Self

from batchlab import errors
from batchlab.errors import BatchlabError, ExecutorError, UsageError
from batchlab.records import StepTime, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.output import Relay
from batchlab.studies.processes import (
    Worker,
    end,
    ending,
    fork_worker,
    kill,
    start_template,
    start_worker,
    total_memory,
)

SECONDS_BETWEEN_LOOKS = 0.2
SHARE_OF_MEMORY_TO_GROW = 0.25


@dataclass(frozen=True, slots=True)
class WorkloadSource:
    """How a worker comes by the workload: it loads `reference` itself, or unpickles a live object.

    `search_path` is where the calling process finds modules: a live object may refer to some of them.
    """

    reference: str
    data_dir: str | None = None
    pickled: bytes | None = field(default=None, repr=False)
    search_path: tuple[str, ...] = ()


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

    def cancel(self, key: str, reason: str) -> None:
        """Give up on a running trial; an event with `reason` as its error follows."""

    def next_event(self, timeout_s: float) -> Event | None:
        """Return the next thing to be known of a running trial, or None when the time is up."""

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """Return the quiet step times; no trial may be running. `on_wait` is called several times a second."""


class LocalExecutor:
    """Worker processes on this machine, as a context manager.

    torch and the workload are loaded once for all workers where they can be forked, else once a worker. A worker that
    dies fails the trial it ran and is replaced; one whose memory grows from trial to trial is replaced between two.
    """

    def __init__(
        self,
        source: WorkloadSource,
        *,
        workers: int | None = None,
        on_output: Callable[[str], None] | None = None,
        memory_growth: int | None = None,
        fork: bool = True,
    ) -> None:
        """Start the workers; they load the workload while the caller goes on.

        Args:
            source: how workers come by the workload.
            workers: how many, by default one a core.
            on_output: called with the first lines that the users' code prints; they go to stderr by default.
            fork: whether workers may be forked from one process that has loaded the workload; not for GPUs.
            memory_growth: bytes by which a worker may grow after its first trial, by default a fair share of memory.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"`workers` is a whole number of at least 1, got {workers}; leave it out for one a core.")
        if sys.platform == "win32":
            raise ExecutorError(
                "Studies run on Linux and macOS, and this is Windows; use the Windows Subsystem for Linux."
            )
        self._source = source
        self._relay = Relay(on_output or _print_to_stderr)
        self._count = workers or available_cores()
        self._growth = memory_growth or int(SHARE_OF_MEMORY_TO_GROW * total_memory() / self._count)
        self._workers: list[Worker] = []
        self._template = start_template(self._relay) if fork and sys.platform == "linux" else None
        if self._template is None:
            self._workers = [self._start() for _ in range(self._count)]
        else:
            # A process that dies at once is noticed when its answer is waited for.
            with suppress(OSError):
                self._template.pipe.send(("load", source))

    def __enter__(self) -> Self:
        """Return the executor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers, trials under way included."""
        for worker in [*self._workers, *([self._template] if self._template else [])]:
            end(worker)

    def inspect(self, device: str = "cpu", on_wait: Callable[[], None] = lambda: None) -> WorkloadInfo:
        """Return what the first worker finds out about the workload; raises what loading it, or the device, raised."""
        self._wait_for_workers(on_wait)
        info = self._ask(("inspect", "", device), "load the workload", on_wait)
        assert isinstance(info, WorkloadInfo)
        return info

    def free(self) -> int:
        """Return how many workers have no trial."""
        self._wait_for_workers()
        return sum(worker.key is None for worker in self._workers)

    def submit(self, key: str, settings: TrialSettings) -> None:
        """Send a trial to a free worker."""
        self._wait_for_workers()
        worker = next(worker for worker in self._workers if worker.key is None)
        worker.key = key
        try:
            worker.pipe.send(("trial", key, settings))
        except OSError:
            pass  # Its death is read from the pipe by next_event, which fails the trial and replaces the worker.

    def cancel(self, key: str, reason: str) -> None:
        """End the worker of a running trial, with the processes it started; its death is read by `next_event`."""
        for worker in self._workers:
            if worker.key == key:
                worker.canceled = reason
                kill(worker)

    def next_event(self, timeout_s: float) -> Event | None:
        """Return the next event of a running trial, or None when the time is up."""
        pipes = wait([worker.pipe for worker in self._workers], timeout_s)
        # A dead worker's own children may still hold its pipe open.
        pipes = pipes or [worker.pipe for worker in self._workers if worker.process.poll() is not None]
        for ready in pipes:
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
                self._watch_memory(worker, content[1])
                return Event(key, result=content[0])
            return Event(key, error="\n".join(part for part in content if part))
        return None

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """Return step times measured in the first worker with all threads, while the others rest."""
        times = self._ask(("time", "", tuple(settings)), "time steps", on_wait)
        assert isinstance(times, tuple)
        return times

    def _wait_for_workers(self, on_wait: Callable[[], None] = lambda: None) -> None:
        """Fork the workers as soon as the template has loaded; start plain ones where it cannot be forked."""
        if self._workers or self._template is None:
            return
        try:
            kind, *content = _reply(self._template, on_wait)
        except (EOFError, OSError):
            raise self._ended(self._template, "load the workload") from None
        if kind == "error":
            raise _as_error(content[0], content[1], "load the workload", self._source.reference)
        if not content[0]:
            end(self._template)
            self._template = None
        self._workers = [self._start() for _ in range(self._count)]

    def _start(self) -> Worker:
        if self._template is not None:
            try:
                return fork_worker(self._template, self._relay)
            except (EOFError, OSError):
                # The template is gone, and so are those forked from it; plain processes take their places.
                end(self._template)
                self._template = None
        worker = start_worker(self._relay)
        # A worker that dies at once is noticed when its pipe is read.
        with suppress(OSError):
            worker.pipe.send(("load", "", self._source))
        return worker

    def _ask(self, message: tuple[Any, ...], purpose: str, on_wait: Callable[[], None] = lambda: None) -> Any:
        """Return the first worker's answer to a message that is about no trial; raises what it answers with."""
        worker = self._workers[0]
        try:
            worker.pipe.send(message)
            _, _, *content = _reply(worker, on_wait)
        except (EOFError, OSError):
            raise self._ended(worker, purpose) from None
        if len(content) == 1:
            return content[0]
        raise _as_error(content[0], content[1], purpose, self._source.reference)

    def _ended(self, worker: Worker, purpose: str) -> ExecutorError:
        return ExecutorError(
            f"A worker process was to {purpose} ({self._source.reference}), but ended with {ending(worker)}; mend "
            "that, and run the command again."
        )

    def _bury(self, worker: Worker) -> Event:
        if worker.key is None:
            raise self._ended(worker, "wait for a trial")
        error = worker.canceled or f"The worker process ended with {ending(worker)}."
        self._replace(worker)
        return Event(worker.key, error=error)

    def _replace(self, worker: Worker) -> None:
        end(worker)
        self._workers[self._workers.index(worker)] = self._start()

    def _watch_memory(self, worker: Worker, memory: int) -> None:
        """Replace a worker that has grown too much since its first trial: users' code may keep what it allocates."""
        if worker.memory is None:
            worker.memory = memory
        elif memory - worker.memory > self._growth:
            self._replace(worker)


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _reply(worker: Worker, on_wait: Callable[[], None]) -> Any:
    while not worker.pipe.poll(SECONDS_BETWEEN_LOOKS):
        on_wait()
    return worker.pipe.recv()


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _as_error(name: str, text: str, purpose: str, reference: str) -> BatchlabError:
    kind = getattr(errors, name, None) if name else None
    if isinstance(kind, type) and issubclass(kind, BatchlabError):
        return kind(text)
    last_line = text.strip().splitlines()[-1]
    return ExecutorError(
        f"A worker process was to {purpose} ({reference}), but this was raised: {last_line}; mend it and run the "
        f"command again.\n{text.rstrip()}"
    )
