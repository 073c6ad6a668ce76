"""Every learning rate that was tried at every batch size."""

import math
from dataclasses import dataclass

from batchlab.analyze.findings import ResponsePoint, StudyFindings

CLASSES = 5


@dataclass(frozen=True, slots=True)
class LearningRateCell:
    """One learning rate at one batch size: validation loss above that size's lowest, None where all diverged."""

    batch_size: int
    learning_rate: float
    excess: float | None
    n_seeds: int
    n_diverged: int


@dataclass(frozen=True, slots=True)
class LearningRateOptimum:
    """The fitted optimum at one batch size; the limits are None where there is no interval."""

    batch_size: int
    learning_rate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class LearningRateMap:
    """Every learning rate that was tried; `edges` are the upper limits of the classes of excess, the last open."""

    title: str
    caption: str
    cells: tuple[LearningRateCell, ...]
    optima: tuple[LearningRateOptimum, ...]
    edges: tuple[float, ...]


def learning_rate_map(findings: StudyFindings) -> LearningRateMap | None:
    """Return every learning rate tried at every batch size, or None where learning rates were not searched."""
    if not findings.learning_rate_response:
        return None
    by_size: dict[int, list[ResponsePoint]] = {}
    for point in findings.learning_rate_response:
        by_size.setdefault(point.batch_size, []).append(point)
    cells = tuple(cell for points in by_size.values() for cell in _cells(points))
    optima = tuple(
        LearningRateOptimum(row.batch_size, row.learning_rate, row.learning_rate_low, row.learning_rate_high)
        for row in findings.batch_sizes
        if row.batch_size in by_size and math.isfinite(row.learning_rate)
    )
    return LearningRateMap(
        title=learning_rate_title(findings),
        caption=_learning_rate_caption(findings, cells),
        cells=cells,
        optima=optima,
        edges=_class_edges([cell.excess for cell in cells if cell.excess is not None]),
    )


def _cells(points: list[ResponsePoint]) -> list[LearningRateCell]:
    lowest = min((point.valid_loss for point in points if point.valid_loss is not None), default=0.0)
    return [
        LearningRateCell(
            point.batch_size,
            point.learning_rate,
            None if point.valid_loss is None else point.valid_loss - lowest,
            point.n_seeds,
            point.n_diverged,
        )
        for point in sorted(points, key=lambda point: point.learning_rate)
    ]


def _class_edges(excess: list[float]) -> tuple[float, ...]:
    """Return upper limits of classes of about equal count, rounded to one digit; the last class has none."""
    positive = sorted(value for value in excess if value > 0)
    if not positive:
        return ()
    quantiles = [positive[len(positive) * part // CLASSES] for part in range(1, CLASSES)]
    return tuple(sorted({float(f"{value:.1g}") for value in quantiles}))


def learning_rate_title(findings: StudyFindings) -> str:
    """Return how the best learning rate goes with the batch size."""
    exponent = findings.learning_rate_exponent
    if exponent is None:
        return "The best learning rate at each batch size"
    interval = f"{100 * findings.level:g}% interval {exponent.low:.2f} to {exponent.high:.2f}"
    power = f"batch size to the power {exponent.value:.2f} ({interval})"
    if exponent.low <= 0 <= exponent.high:
        return f"No clear trend of the best learning rate: {power}"
    return f"The best learning rate {'grows' if exponent.low > 0 else 'falls'} as {power}"


def _learning_rate_caption(findings: StudyFindings, cells: tuple[LearningRateCell, ...]) -> str:
    counts = sorted({cell.n_seeds for cell in cells})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    sentences = [
        "Color: mean validation loss above the lowest at the same batch size, over "
        f"{seeds} tuning {'seed' if seeds == '1' else 'seeds'}",
        "Line: fitted optimum",
    ]
    if any(row.learning_rate_low is not None for row in findings.batch_sizes):
        sentences[1] += f" with its {100 * findings.level:g}% interval"
    if any(cell.n_diverged for cell in cells):
        sentences.append("Hatched: some seeds diverged and are not in the mean; crossed: all did")
    return ". ".join(sentences) + "."
