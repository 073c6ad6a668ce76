"""What a study would do, as plain data; `to_json(preview)` is what `batchlab study --dry-run --json` prints."""

from dataclasses import dataclass

from batchlab.analyze.findings import StudyLabel
from batchlab.records import Budget


@dataclass(frozen=True, slots=True)
class Span:
    """A number that depends on what trials will find: the least and the most that is expected of it."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class StagePreview:
    """One stage of a study: the trials to be run, those beside them that the store has, and the seconds to run them.

    Seconds are those of one trial after another.
    """

    name: str
    trials: Span
    stored: int
    trial_seconds: Span


@dataclass(frozen=True, slots=True)
class SizePreview:
    """One batch size: steps of a trial, the learning rates it begins with, and what a trial takes in a busy study."""

    batch_size: int
    n_steps: int
    learning_rates: tuple[float, ...]
    trial_seconds: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What a study would do: the `trials` to be run, and the `seconds` with `workers` of them at a time.

    `timed_by` says where the seconds come from: "trials" of the store, or a quick "timing" just made. Where
    `tune` names what is tuned beside the learning rate, a batch size has the lowest and the highest rate of its box.
    """

    study: StudyLabel
    workload: str
    device: str
    budget: Budget
    learning_rate_mode: str
    stages: tuple[StagePreview, ...]
    batch_sizes: tuple[SizePreview, ...]
    trials: Span
    seconds: Span
    workers: int
    timed_by: str
    power: str
    notes: tuple[str, ...]
    tune: tuple[str, ...] = ()
    format: str = "batchlab.preview/1"
