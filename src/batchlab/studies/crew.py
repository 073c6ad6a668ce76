"""Warm worker processes on this machine: started, asked, replaced and ended."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from batchlab import errors
from batchlab.errors import BatchlabError, ExecutorError
from batchlab.studies.executors import WorkloadSource
from batchlab.studies.output import Relay
from batchlab.studies.processes import Worker, end, ending, fork_worker, start_template, start_worker

SECONDS_BETWEEN_LOOKS = 0.2

OnWait = Callable[[], None]


class Crew:
    """Worker processes that have loaded one workload.

    torch and the workload are loaded once for all of them where they can be forked, else once a worker; they load while
    the caller goes on. `workers` are there once `wait_until_loaded` has returned.
    """

    def __init__(self, source: WorkloadSource, count: int, devices: tuple[str, ...], relay: Relay) -> None:
        """Start so many workers.

        Args:
            source: how they come by the workload.
            count: how many.
            devices: what they run on, in turn.
            relay: takes what the users' code prints.
        """
        self.workers: list[Worker] = []
        self.source, self.devices = source, devices
        self._count, self._relay = count, relay
        # A process that has opened a GPU cannot be forked.
        self._template = start_template(relay) if devices == ("cpu",) and sys.platform == "linux" else None
        if self._template is None:
            self.resize(count)
        else:
            # A process that dies at once is noticed when its answer is waited for.
            with suppress(OSError):
                self._template.pipe.send(("load", source))

    def end(self) -> None:
        """End all processes, whatever they do."""
        for worker in [*self.workers, *([self._template] if self._template else [])]:
            end(worker)

    def wait_until_loaded(self, on_wait: OnWait = lambda: None) -> None:
        """Fork the workers as soon as the template has loaded; start plain ones where it cannot be forked."""
        if self.workers or self._template is None:
            return
        try:
            kind, *content = _reply(self._template, on_wait)
        except (EOFError, OSError):
            raise self.ended(self._template, "load the workload") from None
        if kind == "error":
            raise as_error(content[0], content[1], "load the workload", self.source.reference)
        if not content[0]:
            end(self._template)
            self._template = None
        self.resize(self._count)

    def resize(self, count: int) -> None:
        """Start workers, or end the last of them, until there are so many."""
        while len(self.workers) > count:
            end(self.workers.pop())
        while len(self.workers) < count:
            self.workers.append(self._start(self.devices[len(self.workers) % len(self.devices)]))

    def replace(self, worker: Worker) -> None:
        """End a worker and start another one in its place."""
        end(worker)
        self.workers[self.workers.index(worker)] = self._start(worker.device)

    def ask(self, workers: Sequence[Worker], message: tuple[Any, ...], purpose: str, on_wait: OnWait) -> list[Any]:
        """Return the answers of workers, all at work at once, to a message that is about no trial.

        Raises:
            BatchlabError: what one of them answers with, or that it has ended.
        """
        for worker in workers:
            # One that has died is noticed when its answer is waited for.
            with suppress(OSError):
                worker.pipe.send(message)
        return [self._answer(worker, purpose, on_wait) for worker in workers]

    def ended(self, worker: Worker, purpose: str) -> ExecutorError:
        """Return the error of a worker that has ended by itself."""
        return ExecutorError(
            f"A worker process was to {purpose} ({self.source.reference}), but ended with {ending(worker)}; mend "
            "that, and run the command again."
        )

    def _answer(self, worker: Worker, purpose: str, on_wait: OnWait) -> Any:
        try:
            _, _, *content = _reply(worker, on_wait)
        except (EOFError, OSError):
            raise self.ended(worker, purpose) from None
        if len(content) == 1:
            return content[0]
        raise as_error(content[0], content[1], purpose, self.source.reference)

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
            worker.pipe.send(("load", "", self.source))
            if device != "cpu":
                worker.pipe.send(("use", "", device))
        return worker


def _reply(worker: Worker, on_wait: OnWait) -> Any:
    while not worker.pipe.poll(SECONDS_BETWEEN_LOOKS):
        on_wait()
    return worker.pipe.recv()


def as_error(name: str, text: str, purpose: str, reference: str) -> BatchlabError:
    """Return what a worker answered with as an error: an expected one as itself, any other with its traceback."""
    kind = getattr(errors, name, None) if name else None
    if isinstance(kind, type) and issubclass(kind, BatchlabError):
        return kind(text)
    last_line = text.strip().splitlines()[-1]
    return ExecutorError(
        f"A worker process was to {purpose} ({reference}), but this was raised: {last_line}; mend it and run the "
        f"command again.\n{text.rstrip()}"
    )
