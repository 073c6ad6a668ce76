"""What a probe found: plain data with the sentences that say it."""

from dataclasses import dataclass

TIE_MARGIN = 0.05
OBJECTIVES = ("time", "examples", "energy")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for the advice; `kind` is measured, fitted or rule."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Predicted:
    """Steps and seconds to what `basis` names, a validation loss or the target; joules where they were counted."""

    steps: int
    seconds: float
    basis: str
    joules: float | None = None


@dataclass(frozen=True, slots=True)
class ProbeRecommendation:
    """What to train with.

    `low` and `high` are the central 95 % of what may be the best batch size; tied sizes are expected to cost at most
    5 % more than the recommended one. `expected_regret` is by which share the advice is expected to cost more than the
    best setting there is.
    """

    objective: str
    batch_size: int
    tied_batch_sizes: tuple[int, ...]
    low: int
    high: int
    micro_batch_size: int
    gradient_accumulation_steps: int
    learning_rate: float
    warmup_steps: int
    predicted: Predicted | None
    reasons: tuple[Reason, ...]
    expected_regret: float


@dataclass(frozen=True, slots=True)
class ProbeNoise:
    """The noise scale at the deepest checkpoint it was measured at; `high` is None where there is no upper limit."""

    value: float | None
    low: float | None
    high: float | None
    flags: tuple[str, ...]
    at_examples: int


@dataclass(frozen=True, slots=True)
class CriticalBatchSize:
    """B_crit at an overhead of 1, with its central 95 %.

    Branches bracket the size that needs the share `branches_overhead` more examples.
    """

    value: float
    low: float
    high: float
    branches_low: int | None = None
    branches_high: int | None = None
    branches_overhead: float | None = None


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One batch size: what a step takes, and what the way to the target is expected to cost over the best one.

    A step has `gradient_accumulation_steps` passes of `micro_batch_size` examples. `input_share` is the share of it
    that goes by waiting for data, None where they are in memory.
    """

    batch_size: int
    step_time_s: float
    examples_per_s: float
    peak_memory_bytes: int | None
    learning_rate: float
    predicted_steps: int | None
    relative_cost: float
    relative_cost_low: float
    relative_cost_high: float
    micro_batch_size: int
    gradient_accumulation_steps: int
    input_share: float | None = None
    joules: float | None = None


@dataclass(frozen=True, slots=True)
class FittedStepTime:
    """A step takes max(t0, a + b B) seconds by the fit, which costs nothing up to batch size `knee`.

    `knee` is 0 where examples always cost time, None where they never do. `largest_residual` is the share by which the
    fit is off the table at worst; expected times are those of the table.
    """

    t0: float
    a: float
    b: float
    knee: float | None
    largest_residual: float
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProbeMemory:
    """The largest batch size that was run and fitted, and what ended the search; None where it was not tried."""

    value: int | None
    limited_by: str


@dataclass(frozen=True, slots=True)
class ProbeCurrent:
    """Today's setting: how many times as long it takes as the recommended one, with the central 95 %."""

    batch_size: int
    learning_rate: float
    ratio: float
    low: float
    high: float
    sentence: str


@dataclass(frozen=True, slots=True)
class ProbeFindings:
    """All of a probe; `examples` are those that were trained on or had their gradients measured, timed steps apart."""

    workload: str
    device: str
    devices: int
    optimizer: str
    rule: str
    answer: str
    confidence: str
    recommendation: ProbeRecommendation
    noise_scale: ProbeNoise
    critical_batch_size: CriticalBatchSize
    speed: tuple[ProbeRow, ...]
    max_batch_size: ProbeMemory
    current: ProbeCurrent | None
    notes: tuple[str, ...]
    price: float | None
    seconds: float
    examples: int
    target: float | None = None
    step_time: FittedStepTime | None = None
    format: str = "batchlab.probe/1"


def say_rate(rate: float) -> str:
    """Return a learning rate with three digits.

    >>> say_rate(0.0123456)
    '0.0123'
    """
    return f"{rate:.3g}"
