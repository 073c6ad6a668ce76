"""What runs trials, as a driver sees it, and what passes between the two."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from batchlab.records import StepTime, TrialResult, TrialSettings


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

    def settle(self, trials: Sequence[TrialSettings], threads: int | None, on_wait: Callable[[], None]) -> int:
        """Make ready for trials like these, and return how many threads each is to have.

        Args:
            trials: some of those to come; none is running.
            threads: how many they have, where trials of the same study have been run before.
            on_wait: called several times a second.
        """

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


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
