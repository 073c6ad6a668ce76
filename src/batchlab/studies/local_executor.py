"""Trials in warm worker processes on this machine."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Self

from batchlab.errors import ExecutorError, UsageError, WorkloadError
from batchlab.records import StepTime, TrialSettings, WorkloadInfo
from batchlab.studies.crew import Crew, OnWait
from batchlab.studies.executors import Event, WorkloadSource, available_cores
from batchlab.studies.layout import PACE_S, Layout, Machine, Rehearsal, Sample, choose_layout
from batchlab.studies.output import Relay
from batchlab.studies.processes import Worker, ending, kill, total_memory

SHARE_OF_MEMORY_TO_GROW = 0.25
MOST_SETTLING_S = 120.0
TRYING = "try how fast trials run side by side"


class LocalExecutor:
    """Worker processes on this machine, as a context manager.

    A worker that dies fails the trial it ran and is replaced; one that is killed, which may be no fault of the trial's,
    has it run once more. One whose memory grows from trial to trial is replaced between two.
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
        self._machine = Machine(available_cores(), 0 if devices == ("cpu",) else len(devices), workers)
        count = self._machine.plain().workers
        self._growth = memory_growth or int(SHARE_OF_MEMORY_TO_GROW * total_memory() / count)
        self._n_parameters = 0
        self._killed: set[str] = set()
        self._crew = Crew(source, count, devices, Relay(on_output or _print_to_stderr))

    def __enter__(self) -> Self:
        """Return the executor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers, trials under way included."""
        self._crew.end()

    def inspect(self, on_wait: OnWait = lambda: None) -> WorkloadInfo:
        """Return what the first worker finds out about the workload; raises what loading it, or the device, raised."""
        self._crew.wait_until_loaded(on_wait)
        kind = self._crew.devices[0].partition(":")[0]
        info = self._ask_first(("inspect", "", kind), "load the workload", on_wait)
        assert isinstance(info, WorkloadInfo)
        self._n_parameters = info.n_parameters
        return info

    def settle(self, trials: Sequence[TrialSettings], threads: int | None, on_wait: OnWait) -> int:
        """Start as many workers as are best for trials like these, and return how many threads each is to have.

        Where that cannot be found out, as with code that fails or takes long, it is as for small models: what is wrong
        will show in the trials.
        """
        self._crew.wait_until_loaded(on_wait)
        for worker in self._crew.workers:
            worker.rehearsed = False
        bench = _Bench(self._crew, _until(time.monotonic() + MOST_SETTLING_S, on_wait))
        try:
            layout = choose_layout(trials, self._machine, self._n_parameters, threads, bench)
        except (ExecutorError, WorkloadError):
            layout = self._machine.plain(threads or 1)
            for worker in list(self._crew.workers):
                self._crew.replace(worker)
        self._crew.resize(layout.workers)
        return layout.threads

    def free(self) -> int:
        """Return how many workers have no trial."""
        self._crew.wait_until_loaded()
        return sum(worker.key is None for worker in self._crew.workers)

    def submit(self, key: str, settings: TrialSettings) -> None:
        """Send a trial to a free worker."""
        self._crew.wait_until_loaded()
        self._give(next(worker for worker in self._crew.workers if worker.key is None), key, settings)

    def cancel(self, key: str, reason: str) -> None:
        """End the worker of a running trial, with the processes it started; its death is read by `next_event`."""
        for worker in self._crew.workers:
            if worker.key == key:
                worker.canceled = reason
                kill(worker)

    def next_event(self, timeout_s: float) -> Event | None:
        """Return the next event of a running trial, or None when the time is up."""
        workers = self._crew.workers
        pipes = wait([worker.pipe for worker in workers], timeout_s)
        # A dead worker's own children may still hold its pipe open.
        pipes = pipes or [worker.pipe for worker in workers if worker.process.poll() is not None]
        for ready in pipes:
            worker = next(worker for worker in workers if worker.pipe is ready)
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

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: OnWait) -> tuple[StepTime, ...]:
        """Return step times measured in the first worker with all threads, while the others rest."""
        times = self._ask_first(("time", "", tuple(settings)), "time steps", on_wait)
        assert isinstance(times, tuple)
        return times

    def _ask_first(self, message: tuple[Any, ...], purpose: str, on_wait: OnWait) -> Any:
        return self._crew.ask(self._crew.workers[:1], message, purpose, on_wait)[0]

    def _give(self, worker: Worker, key: str, settings: TrialSettings) -> None:
        worker.key, worker.settings = key, settings
        # A worker's death is read from the pipe by next_event, which replaces it.
        with suppress(OSError):
            worker.pipe.send(("trial", key, settings))

    def _bury(self, worker: Worker) -> Event | None:
        """Return that a trial has failed; None where its worker was killed for the first time, and it begins anew."""
        if worker.key is None:
            raise self._crew.ended(worker, "wait for a trial")
        error = worker.canceled or f"The worker process ended with {ending(worker)}."
        killed = worker.canceled is None and worker.process.wait() == -signal.SIGKILL
        index = self._crew.workers.index(worker)
        self._crew.replace(worker)
        if killed and worker.key not in self._killed:
            assert worker.settings is not None
            self._killed.add(worker.key)
            self._give(self._crew.workers[index], worker.key, worker.settings)
            return None
        return Event(worker.key, error=error)

    def _watch_memory(self, worker: Worker, memory: int) -> None:
        """Replace a worker that has grown too much since its first trial: users' code may keep what it allocates."""
        if worker.memory is None:
            worker.memory = memory
        elif memory - worker.memory > self._growth:
            self._crew.replace(worker)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Tries layouts in the workers; see `Bench`."""

    crew: Crew
    on_wait: OnWait

    def rehearse(self, samples: Sequence[Sample]) -> Rehearsal:
        """See `Bench`."""
        found = self._rehearsed(1, samples)[0]
        assert isinstance(found, Rehearsal)
        return found

    def steps_per_s(self, layout: Layout, samples: Sequence[Sample]) -> list[float]:
        """See `Bench`."""
        self._rehearsed(layout.workers, samples)
        team = self.crew.workers[: layout.workers]
        messages = [("pace", "", index, layout.threads, PACE_S) for index in range(len(samples))]
        return [sum(self.crew.ask(team, message, TRYING, self.on_wait)) for message in messages]

    def _rehearsed(self, count: int, samples: Sequence[Sample]) -> list[Any]:
        """Have those of the first workers make ready that have not yet, and return what they found."""
        self.crew.resize(max(count, len(self.crew.workers)))
        new = [worker for worker in self.crew.workers[:count] if not worker.rehearsed]
        message = ("rehearse", "", tuple(sample.settings for sample in samples))
        answers = self.crew.ask(new, message, TRYING, self.on_wait)
        for worker in new:
            worker.rehearsed = True
        return answers


def _until(deadline: float, on_wait: OnWait) -> OnWait:
    """Return `on_wait` with an end: an `ExecutorError` from the deadline on."""

    def waited() -> None:
        on_wait()
        if time.monotonic() > deadline:
            raise ExecutorError(f"Workers were to {TRYING} within {MOST_SETTLING_S:.0f} s, and have not.")

    return waited


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
