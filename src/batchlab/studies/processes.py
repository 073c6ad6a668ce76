"""Worker processes: started one by one, or forked from a template that has loaded torch and the workload already.

A forked worker starts at once and shares the memory of model and data with all others until one of them writes to it.
Forking is safe only from a process with one thread and without an open GPU, so that some workloads, and systems other
than Linux, get plain processes.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import Protocol

from batchlab.records import TrialSettings
from batchlab.studies.output import Relay, Tail, pipe


class Process(Protocol):
    """What there is to do with a process that somebody may have started for us."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit code, None as long as it runs."""

    def wait(self) -> int:
        """Return its exit code once it has ended."""


@dataclass
class Worker:
    """One worker process, our end of its pipe, what it prints, and the trial it runs.

    `memory` is what it held after its first trial, in bytes; `canceled` is why its trial was given up. `rehearsed` is
    whether it has steps at hand to be tried.
    """

    process: Process
    pipe: Connection
    output: Tail
    key: str | None = None
    settings: TrialSettings | None = None
    memory: int | None = None
    canceled: str | None = None
    device: str = "cpu"
    rehearsed: bool = False


def start_worker(relay: Relay) -> Worker:
    """Start a process that has yet to load the workload."""
    return _start("batchlab.studies.worker", relay)


def start_template(relay: Relay) -> Worker:
    """Start the process that loads the workload and is forked from then on."""
    return _start("batchlab.studies.template", relay)


def fork_worker(template: Worker, relay: Relay) -> Worker:
    """Return a worker forked from the template, which must be idle."""
    ours, theirs = socket.socketpair()
    with pipe() as (reading, writing):
        template.pipe.send(("fork",))
        for descriptor in (theirs.fileno(), writing):
            send_handle(template.pipe, descriptor, template.process.pid)
        pid = template.pipe.recv()
    theirs.close()
    return Worker(_Forked(pid, template), Connection(ours.detach()), Tail(reading, relay))


def end(worker: Worker) -> None:
    """End a process at once, with all that it has started."""
    worker.pipe.close()
    kill(worker)
    worker.process.wait()


def kill(worker: Worker) -> None:
    """Kill a process with the loader processes it has started; it has yet to be waited for."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.process.pid, signal.SIGKILL)


def ending(worker: Worker) -> str:
    """Return how a process that has ended did so, and the last thing it printed."""
    code = worker.process.wait()
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    if code == -signal.SIGKILL:
        how += ", as the system does where memory runs out: try fewer workers, or a micro-batch size"
    words = worker.output.last_words()
    return f"{how} ({words.splitlines()[-1]})" if words else how


def total_memory() -> int:
    """Return the bytes of memory of this machine, 8 GiB where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


@dataclass
class _Forked:
    """A child of the template, which alone can wait for it."""

    pid: int
    template: Worker
    code: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, None as long as it runs."""
        return self.wait() if self.code is None and self._is_zombie() else self.code

    def wait(self) -> int:
        """Return its exit code once it has ended; that of a kill where the template is gone too."""
        if self.code is None:
            try:
                self.template.pipe.send(("wait", self.pid))
                self.code = int(self.template.pipe.recv())
            except (EOFError, OSError):
                self.code = -signal.SIGKILL
        return self.code

    def _is_zombie(self) -> bool:
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
                return file.read().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            return True


def _start(module: str, relay: Relay) -> Worker:
    """Start a module in a process group of its own: Ctrl-C does not reach it, and it ends with all that it started."""
    ours, theirs = socket.socketpair()
    with pipe() as (reading, writing):
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", module, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            process_group=0,
            # Trials run side by side, each with one thread; torch's own threads are set where steps are timed.
            env={"OPENBLAS_NUM_THREADS": "1", **os.environ},
        )
    theirs.close()
    return Worker(process, Connection(ours.detach()), Tail(reading, relay))
