"""Trials in warm worker processes on this machine."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Self

from batchlab import errors
from batchlab.errors import BatchlabError, ExecutorError, UsageError, WorkloadError
from batchlab.records import StepTime, TrialSettings, WorkloadInfo
from batchlab.studies.executors import Event, WorkloadSource, available_cores
from batchlab.studies.layout import PACE_S, Layout, Machine, Rehearsal, Sample, choose_layout
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
MOST_SETTLING_S = 120.0
TRYING = "try how fast trials run side by side"


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
        devices: tuple[str, ...] = ("cpu",),
        on_output: Callable[[str], None] | None = None,
        memory_growth: int | None = None,
    ) -> None:
        """Start the workers; they load the workload while the caller goes on.

        Args:
            source: how workers come by the workload.
            workers: how many; by default one a core, on GPUs one each, until `settle` finds what is best.
            devices: what they run on, in turn: the cores of this machine, or GPUs.
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
        self._devices, on_cores = devices, devices == ("cpu",)
        self._machine = Machine(available_cores(), 0 if on_cores else len(devices), workers)
        self._count = self._machine.plain().workers
        self._growth = memory_growth or int(SHARE_OF_MEMORY_TO_GROW * total_memory() / self._count)
        self._n_parameters = 0
        self._workers: list[Worker] = []
        # A process that has opened a GPU cannot be forked.
        self._template = start_template(self._relay) if on_cores and sys.platform == "linux" else None
        if self._template is None:
            self._resize(self._count)
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

    def inspect(self, on_wait: Callable[[], None] = lambda: None) -> WorkloadInfo:
        """Return what the first worker finds out about the workload; raises what loading it, or the device, raised."""
        self._wait_for_workers(on_wait)
        info = self._ask(("inspect", "", self._devices[0].partition(":")[0]), "load the workload", on_wait)
        assert isinstance(info, WorkloadInfo)
        self._n_parameters = info.n_parameters
        return info

    def settle(self, trials: Sequence[TrialSettings], threads: int | None, on_wait: Callable[[], None]) -> int:
        """Start as many workers as are best for trials like these, and return how many threads each is to have.

        Where that cannot be found out, as with code that fails or takes long, it is as for small models: what is wrong
        will show in the trials.
        """
        self._wait_for_workers(on_wait)
        for worker in self._workers:
            worker.rehearsed = False
        bench = _Bench(self, _until(time.monotonic() + MOST_SETTLING_S, on_wait))
        try:
            layout = choose_layout(trials, self._machine, self._n_parameters, threads, bench)
        except (ExecutorError, WorkloadError):
            layout = self._machine.plain(threads or 1)
            for worker in list(self._workers):
                self._replace(worker)
        self._resize(layout.workers)
        return layout.threads

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
        self._resize(self._count)

    def _resize(self, count: int) -> None:
        while len(self._workers) > count:
            end(self._workers.pop())
        while len(self._workers) < count:
            self._workers.append(self._start(self._devices[len(self._workers) % len(self._devices)]))

    def _start(self, device: str) -> Worker:
        if self._template is not None:
            try:
                return fork_worker(self._template, self._relay)
            except (EOFError, OSError):
                # The template is gone, and so are those forked from it; plain processes take their places.
                end(self._template)
                self._template = None
        worker = start_worker(self._relay)
        worker.device = device
        # A worker that dies at once is noticed when its pipe is read.
        with suppress(OSError):
            worker.pipe.send(("load", "", self._source))
            if device != "cpu":
                worker.pipe.send(("use", "", device))
        return worker

    def _ask(self, message: tuple[Any, ...], purpose: str, on_wait: Callable[[], None] = lambda: None) -> Any:
        """Return the first worker's answer to a message that is about no trial; raises what it answers with."""
        return self._ask_all(self._workers[:1], message, purpose, on_wait)[0]

    def _ask_all(
        self, workers: Sequence[Worker], message: tuple[Any, ...], purpose: str, on_wait: Callable[[], None]
    ) -> list[Any]:
        """Return the answers of workers that are all at work at once."""
        for worker in workers:
            # One that has died is noticed when its answer is waited for.
            with suppress(OSError):
                worker.pipe.send(message)
        return [self._answer(worker, purpose, on_wait) for worker in workers]

    def _answer(self, worker: Worker, purpose: str, on_wait: Callable[[], None]) -> Any:
        try:
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
        self._workers[self._workers.index(worker)] = self._start(worker.device)

    def _watch_memory(self, worker: Worker, memory: int) -> None:
        """Replace a worker that has grown too much since its first trial: users' code may keep what it allocates."""
        if worker.memory is None:
            worker.memory = memory
        elif memory - worker.memory > self._growth:
            self._replace(worker)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Tries layouts in the workers of an executor; see `Bench`."""

    executor: LocalExecutor
    on_wait: Callable[[], None]

    def rehearse(self, samples: Sequence[Sample]) -> Rehearsal:
        """See `Bench`."""
        found = self._rehearsed(1, samples)[0]
        assert isinstance(found, Rehearsal)
        return found

    def steps_per_s(self, layout: Layout, samples: Sequence[Sample]) -> list[float]:
        """See `Bench`."""
        self._rehearsed(layout.workers, samples)
        team = self.executor._workers[: layout.workers]
        messages = [("pace", "", index, layout.threads, PACE_S) for index in range(len(samples))]
        return [sum(self.executor._ask_all(team, message, TRYING, self.on_wait)) for message in messages]

    def _rehearsed(self, count: int, samples: Sequence[Sample]) -> list[Any]:
        """Have the first workers make ready that have not yet, and return what they found."""
        executor = self.executor
        executor._resize(max(count, len(executor._workers)))
        new = [worker for worker in executor._workers[:count] if not worker.rehearsed]
        message = ("rehearse", "", tuple(sample.settings for sample in samples))
        answers = executor._ask_all(new, message, TRYING, self.on_wait)
        for worker in new:
            worker.rehearsed = True
        return answers


def _until(deadline: float, on_wait: Callable[[], None]) -> Callable[[], None]:
    """Return `on_wait` with an end: an `ExecutorError` from the deadline on."""

    def waited() -> None:
        on_wait()
        if time.monotonic() > deadline:
            raise ExecutorError(f"Workers were to {TRYING} within {MOST_SETTLING_S:.0f} s, and have not.")

    return waited


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
