"""Trials on a Ray cluster: on the machines of a group, or of a job of a batch system such as Slurm.

A trial knows nothing of where it runs, and only the driver writes results. Ray is imported when a study asks for it.
"""

import dataclasses
import platform
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from batchlab.errors import ExecutorError
from batchlab.records import StepTime, TrialSettings, WorkloadInfo
from batchlab.studies.crew import OnWait, as_error
from batchlab.studies.executors import Event, WorkloadSource
from batchlab.studies.output import Relay
from batchlab.studies.ray_cluster import connect, import_ray

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_WATCHES = 0.5
SECONDS_BETWEEN_COUNTS = 10.0
# The death of a machine is not the trial's fault; that of each machine it comes to is.
MOST_ATTEMPTS = 3


@dataclass(eq=False)
class _Place:
    """A worker: what we wait for of it, and the trial it runs; `host` is None until it has loaded the workload."""

    actor: Any
    waited: Any
    host: str | None = None
    key: str | None = None
    watched: Any = None
    watch_at: float = 0.0
    examples: int | None = None
    canceled: str | None = None


@dataclass(slots=True)
class _Trial:
    """A trial that was submitted, and how often it was begun."""

    settings: TrialSettings
    attempts: int = 0


class RayExecutor:
    """Workers of a Ray cluster, as a context manager.

    A worker that dies, or whose machine does, is replaced, and its trial is run again: three times at most.
    """

    def __init__(
        self,
        source: WorkloadSource,
        *,
        address: str | None = None,
        workers: int | None = None,
        device: str = "cpu",
        on_notice: Callable[[str], None],
    ) -> None:
        """Connect to the cluster and ask it for workers.

        Args:
            source: how workers come by the workload.
            address: of the cluster: HOST:PORT, "auto" (the default) for the one this machine is part of, or "local"
                for a new one on this machine that ends with the study.
            workers: how many; by default as many as the cluster has cores, or GPUs, also those that join it later.
            device: what they run on, cpu or cuda.
            on_notice: called with the first lines that the users' code prints, and with what befalls workers.

        Raises:
            MissingPackage: Ray is not installed.
            ExecutorError: there is no such cluster.
        """
        self._ray = import_ray()
        self._source, self._workers, self._kind = source, workers, device.partition(":")[0]
        self._notice, self._relay = on_notice, Relay(on_notice)
        self._places: list[_Place] = []
        self._trials: dict[str, _Trial] = {}
        self._again: list[str] = []
        self._threads, self._count_at = 1, 0.0
        with ExitStack() as stack:
            # Ray's own words about workers that died come on stdout, where the answer belongs.
            stack.enter_context(redirect_stdout(sys.stderr))
            stack.enter_context(connect(self._ray, address))
            stack.callback(self._end)
            self._pickled = self._put(source)
            self._fill()
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        """Return the executor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers, trials under way included."""
        self._stack.close()

    def inspect(self, on_wait: OnWait = lambda: None) -> WorkloadInfo:
        """Return what the first worker finds out about the workload; raises what loading it, or the device, raised."""
        info: WorkloadInfo = self._ask_one("inspect", self._kind, "load the workload", on_wait)
        # The host is asked when a study is resumed, which happens where it is driven.
        return dataclasses.replace(info, inspected_on=platform.node())

    def settle(self, trials: Sequence[TrialSettings], threads: int | None, on_wait: OnWait) -> int:
        """Return the threads of each trial: those it has had, else one, as machines of a cluster may differ."""
        if threads not in (None, self._threads):
            self._end()
            self._threads, self._count_at = threads or 1, 0.0
            self._fill()
        return self._threads

    def free(self) -> int:
        """Return how many workers have no trial."""
        self._fill()
        waited = {place.waited: place for place in self._places if place.host is None}
        for reference in self._ready(list(waited), 0.0):
            self._welcome(waited[reference])
        return max(0, len(self._idle()) - len(self._again))

    def submit(self, key: str, settings: TrialSettings) -> None:
        """Give a trial to a free worker."""
        self._trials[key] = _Trial(settings)
        self._begin(self._idle()[0], key)

    def cancel(self, key: str, reason: str) -> None:
        """End the worker of a running trial; its death is read by `next_event`."""
        for place in self._places:
            if place.key == key:
                place.canceled = reason
                self._ray.kill(place.actor)

    def next_event(self, timeout_s: float) -> Event | None:
        """Return the next event of a running trial, or None when the time is up."""
        while self._again and self._idle():
            self._begin(self._idle()[0], self._again.pop(0))
        waited = {place.waited: place for place in self._places if place.host is None or place.key is not None}
        watched = {place.watched: place for place in self._places if self._watch(place)}
        for reference in self._ready([*waited, *watched], timeout_s)[:1]:
            if reference in watched:
                return self._look(watched[reference])
            place = waited[reference]
            if place.host is None:
                self._welcome(place)
            else:
                return self._finish(place)
        return None

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: OnWait) -> tuple[StepTime, ...]:
        """Return step times measured in one worker with all threads of its machine, while the others rest."""
        times = self._ask_one("time", tuple(settings), "time steps", on_wait)
        assert isinstance(times, tuple)
        return times

    def _put(self, source: WorkloadSource) -> Any:
        """Put a live workload, which may be large, where each machine fetches it once."""
        if source.pickled is None:
            return None
        import numpy

        self._source = dataclasses.replace(source, pickled=None)
        return self._ray.put(numpy.frombuffer(source.pickled, dtype=numpy.uint8))

    def _fill(self) -> None:
        """Ask for as many workers as there should be by now; those there is no room for yet come when there is."""
        if self._places and (self._workers is not None or time.monotonic() < self._count_at):
            return
        self._count_at = time.monotonic() + SECONDS_BETWEEN_COUNTS
        count = self._workers or self._room()
        while len(self._places) < max(1, count):
            self._places.append(self._start())

    def _room(self) -> int:
        resources = self._ray.cluster_resources()
        return int(resources.get("GPU", 0)) if self._kind != "cpu" else int(resources.get("CPU", 1)) // self._threads

    def _start(self) -> _Place:
        from batchlab.studies.ray_worker import RayWorker

        needs = {"num_cpus": self._threads, "num_gpus": int(self._kind != "cpu")}
        # Two at a time: one works, and one watches.
        actor = self._ray.remote(RayWorker).options(max_concurrency=2, **needs).remote(self._source, self._pickled)
        return _Place(actor, actor.load.remote())

    def _idle(self) -> list[_Place]:
        return [place for place in self._places if place.host is not None and place.key is None]

    def _begin(self, place: _Place, key: str) -> None:
        trial = self._trials[key]
        trial.attempts += 1
        place.key, place.examples, place.watch_at = key, None, time.monotonic()
        place.waited = place.actor.run.remote(trial.settings)

    def _ready(self, references: list[Any], timeout_s: float) -> list[Any]:
        if not references:
            time.sleep(timeout_s)
            return []
        ready, _ = self._ray.wait(references, num_returns=1 if timeout_s else len(references), timeout=timeout_s)
        return list(ready)

    def _watch(self, place: _Place) -> bool:
        """Ask a worker how far it is, once in a while; True where its answer is due."""
        if place.key is not None and place.watched is None and time.monotonic() >= place.watch_at:
            place.watched = place.actor.watch.remote()
            place.watch_at = time.monotonic() + SECONDS_BETWEEN_WATCHES
        return place.watched is not None

    def _look(self, place: _Place) -> Event | None:
        """Pass on what a worker has printed, and return a sign of life where its trial has come further."""
        reference, place.watched = place.watched, None
        try:
            examples, lines = self._ray.get(reference)
        except self._ray.exceptions.RayError:
            return None  # Its death is read where its trial is waited for.
        for line in lines:
            self._relay(line)
        if place.key is None or examples == place.examples:
            return None
        place.examples = examples
        return Event(place.key, examples=examples)

    def _welcome(self, place: _Place) -> None:
        """Take in a worker that has loaded the workload."""
        try:
            place.host = self._value(place, "load the workload")
        except self._ray.exceptions.RayError as error:
            raise ExecutorError(
                f"A worker of the Ray cluster was to load the workload ({self._source.reference}), but ended "
                f"({_reason(error)}); mend that, and run the command again."
            ) from error

    def _finish(self, place: _Place) -> Event | None:
        """Return what came of a trial, None where it is run again."""
        key = place.key
        assert key is not None
        try:
            result, name, text = self._ray.get(place.waited)
        except self._ray.exceptions.RayError as error:
            return self._bury(place, key, error)
        # What it printed last is not lost.
        place.key, place.watched = None, place.watched or place.actor.watch.remote()
        del self._trials[key]
        return Event(key, error="\n".join(filter(None, (name, text)))) if result is None else Event(key, result=result)

    def _bury(self, place: _Place, key: str, error: Exception) -> Event | None:
        self._places[self._places.index(place)] = self._start()
        trial = self._trials[key]
        if place.canceled is None and trial.attempts < MOST_ATTEMPTS:
            self._again.append(key)
            self._notice(f"A worker on {place.host} died ({_reason(error)}); its trial is run again.")
            return None
        del self._trials[key]
        died = f"Workers of the Ray cluster died of it, {trial.attempts} of {MOST_ATTEMPTS} ({_reason(error)})."
        return Event(key, error=place.canceled or died)

    def _ask_one(self, method: str, argument: Any, purpose: str, on_wait: OnWait) -> Any:
        """Return a worker's answer to what is about no trial; raises what it answers with."""
        while not self._idle():
            on_wait()
            waited = {place.waited: place for place in self._places if place.host is None}
            for reference in self._ready(list(waited), SECONDS_BETWEEN_LOOKS):
                self._welcome(waited[reference])
        place = self._idle()[0]
        place.waited = getattr(place.actor, method).remote(argument)
        while not self._ready([place.waited], SECONDS_BETWEEN_LOOKS):
            on_wait()
        try:
            return self._value(place, purpose)
        except self._ray.exceptions.RayError as error:
            self._places[self._places.index(place)] = self._start()
            raise ExecutorError(
                f"A worker of the Ray cluster was to {purpose} ({self._source.reference}), but ended "
                f"({_reason(error)}); mend that, and run the command again."
            ) from error

    def _value(self, place: _Place, purpose: str) -> Any:
        value, name, text = self._ray.get(place.waited)
        if text:
            raise as_error(name, text, purpose, self._source.reference)
        return value

    def _end(self) -> None:
        for place in self._places:
            self._ray.kill(place.actor)
        self._places = []


def _reason(error: Exception) -> str:
    """Return the sentence of Ray's long message that says how a worker ended."""
    text = " ".join(str(error).split())
    return (text.partition("Worker exit detail: ")[2] or text).partition(". ")[0].rstrip(".")
