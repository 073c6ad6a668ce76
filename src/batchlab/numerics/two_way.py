"""The additive model score = batch size + seed + residual, for scores in which every batch size has every seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

Scores = Mapping[int, Sequence[float]] | Mapping[int, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class TwoWay:
    """The fitted model: k batch sizes in rising order, n seeds each.

    `means` has one entry a size. `residual_variance` is that of one score, seed effects removed, with
    `df` = (n - 1)(k - 1); it is NaN when `df` is 0. `own_variances` has each size's residual variance from its own
    scores alone (about n - 1 degrees of freedom); NaN with fewer than 3 sizes, where the sizes cannot be told apart.
    """

    batch_sizes: tuple[int, ...]
    means: tuple[float, ...]
    residual_variance: float
    own_variances: tuple[float, ...]
    df: int
    n: int


def fit_two_way(scores: Scores) -> TwoWay:
    """Return means and residual variance of scores paired by seed.

    With e the doubly centered scores, s² = Σ e²/((n - 1)(k - 1)) is unbiased whatever the seed effects. Of one size,
    with S_i = Σ_j e_ij² and T = k s², the unbiased variance is (S_i/(n - 1) - T/k²) k/(k - 2) (Grubbs 1948), which
    may be negative.

    Args:
        scores: {batch size: one value a seed}, paired by position, or {batch size: {seed: value}}, paired by key.

    >>> fit = fit_two_way({8: {0: 1.0, 1: 3.0}, 16: {1: 4.0, 0: 2.0}})
    >>> fit.means, fit.residual_variance, fit.df
    ((2.0, 3.0), 0.0, 1)
    """
    batch_sizes, table = score_table(scores)
    k, n = table.shape
    df = (n - 1) * (k - 1)
    centered = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    squares = (centered**2).sum(axis=1)
    residual_variance = float(squares.sum()) / df if df else math.nan
    own = numpy.full(k, math.nan)
    if df and k > 2:
        own = (squares / (n - 1) - residual_variance / k) * k / (k - 2)
    return TwoWay(
        batch_sizes,
        tuple(table.mean(axis=1).tolist()),
        residual_variance,
        tuple(own.tolist()),
        df,
        n,
    )


def score_table(scores: Scores) -> tuple[tuple[int, ...], NDArray[numpy.float64]]:
    """Return the batch sizes in rising order and their scores as an array of shape (sizes, seeds)."""
    if not scores:
        raise ValueError("`scores` must hold at least one batch size, got none; pass {batch_size: [one value a seed]}.")
    batch_sizes = tuple(sorted(scores))
    rows = _rows(scores, batch_sizes)
    if not len(rows[0]):
        raise ValueError(f"Each batch size needs at least one value, batch size {batch_sizes[0]} has none; add a seed.")
    table = numpy.array(rows, dtype=float)
    for size, row in zip(batch_sizes, table, strict=True):
        if not numpy.isfinite(row).all():
            raise ValueError(
                f"Every score must be a finite number, batch size {size} has {row.tolist()}; "
                "leave out the batch sizes at which a seed diverged."
            )
    return batch_sizes, table


def _rows(scores: Scores, batch_sizes: tuple[int, ...]) -> list[list[float]]:
    values = [scores[size] for size in batch_sizes]
    mappings = [value for value in values if isinstance(value, Mapping)]
    if len(mappings) == len(values):
        return _rows_by_seed(batch_sizes, mappings)
    if mappings:
        raise ValueError(
            "`scores` must be all lists or all mappings by seed, got both; "
            "pass {batch_size: {seed: value}} for every size."
        )
    lengths = {size: len(value) for size, value in zip(batch_sizes, values, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"Every batch size needs a value for every seed, got {lengths} values; "
            "run the missing seeds, or pass {seed: value} and keep the seeds that all sizes have."
        )
    return [list(value) for value in values if not isinstance(value, Mapping)]


def _rows_by_seed(batch_sizes: tuple[int, ...], values: Sequence[Mapping[int, float]]) -> list[list[float]]:
    seeds = sorted({seed for value in values for seed in value})
    for size, value in zip(batch_sizes, values, strict=True):
        missing = [seed for seed in seeds if seed not in value]
        if missing:
            raise ValueError(
                f"Every batch size needs a value for every seed, batch size {size} lacks seed {missing[0]}; "
                "run it, or leave that seed out everywhere."
            )
    return [[value[seed] for seed in seeds] for value in values]
