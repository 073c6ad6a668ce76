"""Where trials run: warm worker processes on this machine, one trial and one thread each."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Protocol, Self

from batchlab import errors
from batchlab.errors import BatchlabError, ExecutorError, UsageError
from batchlab.records import StepTime, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.output import Relay, Tail, pipe

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


@dataclass
class _Worker:
    """One worker process, our end of its pipe, what it prints, and the trial it runs.

    `memory` is what it held after its first trial, in bytes; `canceled` is why its trial was given up.
    """

    process: subprocess.Popen[bytes]
    pipe: Connection
    output: Tail
    key: str | None = None
    memory: int | None = None
    canceled: str | None = None


class LocalExecutor:
    """Worker processes on this machine, as a context manager.

    torch is imported once a worker. A worker that dies fails the trial it ran and is replaced; one whose memory grows
    from trial to trial is replaced between two of them.
    """

    def __init__(
        self,
        source: WorkloadSource,
        *,
        workers: int | None = None,
        on_output: Callable[[str], None] | None = None,
        memory_growth: int | None = None,
    ) -> None:
        """Start the workers; they load the workload while the caller goes on.

        Args:
            source: how workers come by the workload.
            workers: how many, by default one a core.
            on_output: called with the first lines that the users' code prints; they go to stderr by default.
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
        count = workers or available_cores()
        self._growth = memory_growth or int(SHARE_OF_MEMORY_TO_GROW * total_memory() / count)
        self._workers = [_start(self._relay) for _ in range(count)]
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
            _end(worker)

    def inspect(self, device: str = "cpu", on_wait: Callable[[], None] = lambda: None) -> WorkloadInfo:
        """Return what the first worker finds out about the workload; raises what loading it, or the device, raised."""
        info = self._ask(("inspect", "", device), "load the workload", on_wait)
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

    def cancel(self, key: str, reason: str) -> None:
        """End the worker of a running trial, with the processes it started; its death is read by `next_event`."""
        for worker in self._workers:
            if worker.key == key:
                worker.canceled = reason
                _kill(worker)

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
                f"A worker process was to {purpose} ({self._source.reference}), but ended with {_ending(code)}"
                f"{_quoted(worker)}; mend that, and run the command again."
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
        if worker.key is None:
            raise ExecutorError(
                f"A worker process was to load {self._source.reference}, but ended with {_ending(code)}"
                f"{_quoted(worker)}; mend that, and run the command again."
            )
        self._replace(worker)
        return Event(
            worker.key, error=worker.canceled or f"The worker process ended with {_ending(code)}{_quoted(worker)}."
        )

    def _replace(self, worker: _Worker) -> None:
        _end(worker)
        replacement = _start(self._relay)
        self._workers[self._workers.index(worker)] = replacement
        self._load(replacement)

    def _watch_memory(self, worker: _Worker, memory: int) -> None:
        """Replace a worker that has grown too much since its first trial: users' code may keep what it allocates."""
        if worker.memory is None:
            worker.memory = memory
        elif memory - worker.memory > self._growth:
            self._replace(worker)


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory() -> int:
    """Return the bytes of memory of this machine, 8 GiB where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


def _start(relay: Relay) -> _Worker:
    """Start a worker in a process group of its own: Ctrl-C does not reach it, and it ends with all that it started."""
    ours, theirs = socket.socketpair()
    with pipe() as (reading, writing):
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "batchlab.studies.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            process_group=0,
        )
    theirs.close()
    return _Worker(process, Connection(ours.detach()), Tail(reading, relay))


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    _kill(worker)
    worker.process.wait()


def _kill(worker: _Worker) -> None:
    """End a worker and the loader processes it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.process.pid, signal.SIGKILL)


def _quoted(worker: _Worker) -> str:
    """Return the last thing a dead worker printed, to be put after how it ended."""
    words = worker.output.last_words()
    return f" ({words.splitlines()[-1]})" if words else ""


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "signal 9, as the system does where memory runs out: try fewer workers, or a micro-batch size"
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
