"""Trials without training: an executor that answers at once, for what the driver and the store cost alone."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from batchlab.records import Curve, StepTime, TrialResult, TrialSettings
from batchlab.studies.executors import Event

VERSIONS = (("batchlab", "0"), ("numpy", "0"), ("python", "0"), ("torch", "0"))


@dataclass(slots=True)
class Instant:
    """Takes `places` trials at a time and gives each its result when asked for an event."""

    places: int
    queue: list[tuple[str, TrialSettings]] = field(default_factory=list)

    def settle(self, trials: Sequence[TrialSettings], threads: int | None, on_wait: Callable[[], None]) -> int:
        """See `Executor`."""
        return threads or 1

    def free(self) -> int:
        """See `Executor`."""
        return self.places - len(self.queue)

    def submit(self, key: str, settings: TrialSettings) -> None:
        """See `Executor`."""
        self.queue.append((key, settings))

    def cancel(self, key: str, reason: str) -> None:
        """See `Executor`."""

    def next_event(self, timeout_s: float) -> Event | None:
        """See `Executor`."""
        key, settings = self.queue.pop(0)
        return Event(key, result=result_of(settings))

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """See `Executor`."""
        return ()


def result_of(settings: TrialSettings) -> TrialResult:
    """Return a result as long as a real one: one row for each evaluation, digits that do not repeat."""
    octaves = math.log2(settings.learning_rate / 0.05)
    error = 0.03 + 0.004 * octaves**2 + 0.002 * math.sin(7.0 * settings.seed + settings.batch_size)
    examples = (0, *settings.evaluate_at)
    errors = tuple(error + 0.87 / (1 + seen / 100) for seen in examples)
    return TrialResult(
        settings=settings,
        status="done",
        curve=Curve(
            examples,
            tuple(seen // settings.batch_size for seen in examples),
            (settings.learning_rate,) * len(examples),
            (math.nan, *errors[1:]),
            errors,
            errors,
        ),
        examples=settings.n_steps * settings.batch_size,
        steps=settings.n_steps,
        valid_loss=error,
        valid_metric=error,
        baseline_metric=0.9,
        train_loss=error,
        train_metric=error,
        test_loss=error,
        test_metric=error,
        seconds=0.0,
        host="here",
        versions=VERSIONS,
        micro_batch_size=settings.batch_size,
    )
