"""What a measurement of gradients along training found, as records for every view."""

import math
from dataclasses import dataclass

from batchlab.analyze.gradient_norms import NormTable
from batchlab.numerics.interference import Interference
from batchlab.numerics.intervals import Interval, t_interval
from batchlab.numerics.noise_scale import NoiseScale


@dataclass(frozen=True, slots=True)
class InterferenceTable:
    """How single examples' gradients relate, over all pairs, and over pairs of the same and of different classes.

    The last two are None where targets are no classes.
    """

    every: Interference
    same_class: Interference | None = None
    different_class: Interference | None = None


@dataclass(frozen=True, slots=True)
class OrderTable:
    """Loss after two half-batch steps in sequence minus loss after one joint step that is the same to first order.

    On the examples of the step, and on others; below 0 the sequence is better.
    """

    n_pairs: int
    learning_rate: float
    same: Interval
    held_out: Interval


@dataclass(frozen=True, slots=True)
class CheckpointFindings:
    """What was measured at one point of training; None for what was not, and `notes` say why.

    `curvature_noise_scale` is tr(HΣ)/(G'HG): at this batch size noise halves the best step of plain gradient descent.
    """

    step: int
    examples: int
    loss: float
    noise_scale: NoiseScale
    n_examples: int
    norms: NormTable | None
    interference: InterferenceTable | None
    order: OrderTable | None
    notes: tuple[str, ...]
    curvature_noise_scale: NoiseScale | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim one meets about batch sizes, and whether it holds here: holds, does not hold, or undecided."""

    name: str
    text: str
    step: int
    verdict: str
    evidence: str


@dataclass(frozen=True, slots=True)
class MeasurementFindings:
    """Gradients of a workload along one training run: the answer, how sure, and all that is behind it."""

    workload: str
    unit: str
    device: str
    versions: tuple[tuple[str, str], ...]
    seed: int
    n_train: int
    batch_size: int
    learning_rate: float
    n_steps: int
    optimizer: str
    answer: str
    confidence: str
    checkpoints: tuple[CheckpointFindings, ...]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...]
    seconds: float
    format: str = "batchlab.measure/1"


def order_table(learning_rate: float, same: tuple[float, ...], held_out: tuple[float, ...]) -> OrderTable:
    """Return the paired differences with their t intervals over pairs of half-batches."""
    return OrderTable(len(same), learning_rate, t_interval(same), t_interval(held_out))


def say_noise_scale(noise_scale: NoiseScale) -> str:
    """Return a noise scale with its interval, in as many words as it is known to.

    >>> from batchlab.numerics.noise_scale import estimate_noise_scale
    >>> say_noise_scale(estimate_noise_scale([41.0, 39.0, 43.0, 38.0], [2.1, 1.8, 2.0, 2.2]))
    '19.9 (16.9 to 23.7)'
    >>> say_noise_scale(estimate_noise_scale([41.0, 39.0, 43.0, 38.0], [2.1, -1.8, 2.0, -2.9]))
    'above 11'
    """
    low, high, value = noise_scale.low, noise_scale.high, noise_scale.value
    if low is None or high is None or (low == 0 and high == math.inf):
        return "not resolved"
    if high == math.inf or value is None:
        return f"above {_digits(low)}"
    return f"{_digits(value)} ({_digits(low)} to {_digits(high)})"


def answer_of(checkpoints: tuple[CheckpointFindings, ...], batch_size: int, unit: str) -> str:
    """Return the first line: where noise and signal balance at the end, and what that makes of the batch size used."""
    last = checkpoints[-1].noise_scale
    where = f"at the end of this run ({checkpoints[-1].step:,} steps)"
    if last.low is None or last.high is None or (last.low == 0 and last.high == math.inf):
        return f"The gradient noise scale {where} is not resolved: more blocks are needed than were drawn."
    regime = "about as large as"
    if batch_size < last.low:
        regime = "below"
    elif batch_size > last.high:
        regime = "above"
    return (
        f"The gradient noise scale {where} is {say_noise_scale(last)} {unit}s; the batch size trained with, "
        f"{batch_size}, is {regime} it{_meaning(regime)}."
    )


def confidence_of(checkpoints: tuple[CheckpointFindings, ...], level: float = 0.95) -> str:
    """Return the second line: the kind of interval, what it rests on, and how the noise scale moved."""
    first, last = checkpoints[0], checkpoints[-1]
    sentence = (
        f"{100 * level:g}% Fieller interval over {last.noise_scale.n_blocks} blocks ({last.n_examples:,} examples) at "
        "one checkpoint of one run"
    )
    if len(checkpoints) < 2:
        return f"{sentence}."
    moved = f"at step {first.step:,} it was {say_noise_scale(first.noise_scale)}"
    return f"{sentence}; {moved}: {_trend(first.noise_scale, last.noise_scale)}."


def _meaning(regime: str) -> str:
    meanings = {
        "below": ", so a step's gradient is mostly noise",
        "above": ", so a step's gradient is mostly signal",
    }
    return meanings.get(regime, "")


def _trend(first: NoiseScale, last: NoiseScale) -> str:
    if None in (first.low, first.high, last.low, last.high):
        return "whether it moved is not resolved"
    assert first.high is not None and last.high is not None and first.low is not None and last.low is not None
    if last.low > first.high:
        return "it rose while training"
    return "it fell while training" if last.high < first.low else "whether it moved is not resolved"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
