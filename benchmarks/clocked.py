"""An executor that keeps the times at which trials were sent and came back, around another one that runs them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from batchlab.records import StepTime, TrialSettings
from batchlab.studies.executors import Event, Executor


@dataclass(slots=True)
class Clocked:
    """Passes everything on; `sent` and `back` are seconds on the clock of `time.perf_counter`, by trial.

    `asked_to_time` is when the driver had stored its last trial. Nothing is timed then: these studies are watched from
    outside.
    """

    inner: Executor
    sent: dict[str, float] = field(default_factory=dict)
    back: dict[str, float] = field(default_factory=dict)
    asked_to_time: float = 0.0

    def settle(self, trials: Sequence[TrialSettings], threads: int | None, on_wait: Callable[[], None]) -> int:
        """See `Executor`."""
        return self.inner.settle(trials, threads, on_wait)

    def free(self) -> int:
        """See `Executor`."""
        return self.inner.free()

    def submit(self, key: str, settings: TrialSettings) -> None:
        """See `Executor`."""
        self.sent[key] = time.perf_counter()
        self.inner.submit(key, settings)

    def cancel(self, key: str, reason: str) -> None:
        """See `Executor`."""
        self.inner.cancel(key, reason)

    def next_event(self, timeout_s: float) -> Event | None:
        """See `Executor`."""
        event = self.inner.next_event(timeout_s)
        if event is not None and event.examples is None:
            self.back[event.key] = time.perf_counter()
        return event

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """Return nothing, and keep when this was asked."""
        self.asked_to_time = time.perf_counter()
        return ()

    @property
    def seconds(self) -> float:
        """Return the time from the first trial sent to the last one stored."""
        return self.asked_to_time - min(self.sent.values())
