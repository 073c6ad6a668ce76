"""What the figures of a measurement show: noise scale along training, gradient norms by batch size, interference."""

from dataclasses import dataclass

from batchlab.analyze.measurements import CheckpointFindings, MeasurementFindings
from batchlab.numerics.interference import Interference


@dataclass(frozen=True, slots=True)
class NoisePoint:
    """The noise scale at one checkpoint; `high` is None where it has no upper limit, `value` where unresolved."""

    step: int
    value: float | None
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class NoiseAlongTraining:
    """The noise scale over optimizer steps, with the batch size that was trained with."""

    title: str
    caption: str
    points: tuple[NoisePoint, ...]
    batch_size: int


@dataclass(frozen=True, slots=True)
class NormCurve:
    """Gradient norms over batch size at one checkpoint: root mean square, 5 and 95 % quantiles, and the fitted law."""

    label: str
    batch_sizes: tuple[int, ...]
    root_mean_square: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    law: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class NormsByBatchSize:
    """One curve a checkpoint whose norms were measured."""

    title: str
    caption: str
    curves: tuple[NormCurve, ...]


@dataclass(frozen=True, slots=True)
class PairCosines:
    """The mean cosine of pairs of examples' gradients at one checkpoint, with its interval, by kind of pair.

    Limits are None where there is no interval.
    """

    label: str
    kinds: tuple[str, ...]
    cosines: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class InterferenceByPairs:
    """One entry a checkpoint whose pairs were compared."""

    title: str
    caption: str
    checkpoints: tuple[PairCosines, ...]


def noise_along_training(findings: MeasurementFindings) -> NoiseAlongTraining:
    """Return the noise scale at each checkpoint that has an interval."""
    points = tuple(
        NoisePoint(point.step, point.noise_scale.value, point.noise_scale.low, _finite(point.noise_scale.high))
        for point in findings.checkpoints
        if point.noise_scale.low is not None
    )
    level = 100 * findings.checkpoints[-1].noise_scale.level
    caption = (
        f"Gradient noise scale tr(Σ)/|G|², in {findings.unit}s, with {level:g}% Fieller intervals over blocks of fresh "
        "examples at each checkpoint of one run. An interval that leaves the axis has no upper end."
    )
    left_out = len(findings.checkpoints) - len(points)
    if left_out:
        caption += f" {left_out} checkpoint{'s' if left_out > 1 else ''} without any interval left out."
    return NoiseAlongTraining(
        f"Noise scale of {findings.workload} while it trains", caption, points, findings.batch_size
    )


def norms_by_batch_size(findings: MeasurementFindings) -> NormsByBatchSize | None:
    """Return the norms of each checkpoint that has them, or None."""
    curves = tuple(_curve(checkpoint) for checkpoint in findings.checkpoints if checkpoint.norms is not None)
    if not curves:
        return None
    draws = sorted({point.norms.n_draws for point in findings.checkpoints if point.norms is not None})
    caption = (
        "Norm of the gradient of the mean loss at frozen weights: root mean square and 5 to 95% quantiles of "
        f"{' or '.join(f'{count:,}' for count in draws)} draws with replacement; dashed, the root of the fitted "
        "|G|² + tr(Σ)/B. For a summed loss multiply by the batch size."
    )
    return NormsByBatchSize("Gradient norm by batch size", caption, curves)


def interference_by_pairs(findings: MeasurementFindings) -> InterferenceByPairs | None:
    """Return how pairs of examples agree at each checkpoint that has them, or None."""
    checkpoints = tuple(_cosines(checkpoint) for checkpoint in findings.checkpoints if checkpoint.interference)
    if not checkpoints:
        return None
    first = next(point.interference.every for point in findings.checkpoints if point.interference)
    caption = (
        f"Mean cosine between the gradients of two {findings.unit}s, over {first.n_pairs:,} pairs of {first.n} "
        f"{findings.unit}s, with {100 * first.level:g}% jackknife intervals over {findings.unit}s. Above 0 they help "
        "one another, below 0 they are in one another's way."
    )
    return InterferenceByPairs("Do examples of one batch agree?", caption, checkpoints)


def _cosines(checkpoint: CheckpointFindings) -> PairCosines:
    table = checkpoint.interference
    assert table is not None
    kinds: dict[str, Interference | None] = {
        "all pairs": table.every,
        "same class": table.same_class,
        "different classes": table.different_class,
    }
    found = {kind: pairs.cosine for kind, pairs in kinds.items() if pairs is not None and pairs.n_pairs}
    return PairCosines(
        label=f"step {checkpoint.step:,}",
        kinds=tuple(found),
        cosines=tuple(cosine.mean for cosine in found.values()),
        low=tuple(cosine.low for cosine in found.values()),
        high=tuple(cosine.high for cosine in found.values()),
    )


def _curve(checkpoint: CheckpointFindings) -> NormCurve:
    norms = checkpoint.norms
    assert norms is not None
    law = [norms.signal + norms.trace / row.batch_size for row in norms.rows]
    return NormCurve(
        label=f"step {checkpoint.step:,}",
        batch_sizes=tuple(row.batch_size for row in norms.rows),
        root_mean_square=tuple((row.law_ratio * value) ** 0.5 for row, value in zip(norms.rows, law, strict=True)),
        low=tuple(row.low for row in norms.rows),
        high=tuple(row.high for row in norms.rows),
        law=tuple(max(0.0, value) ** 0.5 for value in law),
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or value == float("inf") else value
