"""From a posterior of what settings cost to the one to train with, its ties, and what else may still be the best."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from batchlab.numerics.progress_model import ProgressModel

Array = NDArray[numpy.float64]

OCTAVE_STEP = 0.25
# Rates considered at a batch size, in octaves about the middle of what is believed of its optimum.
OCTAVES = numpy.arange(-3, 2 + OCTAVE_STEP / 2, OCTAVE_STEP)
# A setting that diverges costs infinitely; for an expectation it counts as e^3 times as much as the best.
MOST_LOG_RATIO = 3.0
# Settings this near to one another are one challenger.
NEAR_SIZES, NEAR_RATES = 0.9, 0.76
LEAST_CHANCE = 0.1


@dataclass(frozen=True, slots=True)
class StepCost:
    """What one step costs (seconds, joules or examples), and the sd of its logarithm."""

    value: float
    log_sd: float = 0.0


@dataclass(frozen=True, slots=True)
class SizeOutlook:
    """What is believed of a batch size at the learning rate that goes with it.

    `ratio` is its cost to the target over that of the chosen setting: median of the draws, with the limits of their
    central 95 %. `expected_regret` is the mean share by which it costs more than the best there is, `best_share` the
    share of draws in which this batch size is best.
    """

    batch_size: int
    learning_rate: float
    expected_regret: float
    ratio: float
    ratio_low: float
    ratio_high: float
    best_share: float


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """Draws of ln cost to the target, shape (draws, settings), up to a constant of each draw."""

    batch_sizes: NDArray[numpy.int64]
    learning_rates: Array
    log_costs: Array

    @property
    def expected_regret(self) -> Array:
        """Return the mean share by which each setting costs more than the best one of its draw."""
        excess = self.log_costs - self.log_costs.min(axis=1, keepdims=True)
        return numpy.asarray(numpy.expm1(numpy.minimum(excess, MOST_LOG_RATIO)).mean(axis=0))

    @property
    def chosen(self) -> int:
        """Return the index of the setting with the least expected regret."""
        return int(self.expected_regret.argmin())


def outlook(model: ProgressModel, costs: Mapping[int, StepCost], *, seed: int = 0) -> Outlook:
    """Return what each setting costs: the examples it needs by the model, times the cost of an example at its size.

    Args:
        model: the posterior of ln examples.
        costs: of a step, by batch size: these sizes are considered.
        seed: of the errors of the costs.
    """
    sizes = numpy.repeat(sorted(costs), len(OCTAVES))
    centers = [float(numpy.median(model.best_log2_rates(size))) for size in sorted(costs)]
    rates = numpy.concatenate([2.0 ** (_rounded(center) + OCTAVES) for center in centers])
    generator = numpy.random.default_rng(seed)
    per_example = [math.log(costs[size].value / size) for size in sorted(costs)]
    errors = generator.standard_normal((len(model.draws), len(costs))) * [costs[size].log_sd for size in sorted(costs)]
    log_costs = model.log_examples(sizes, rates) + numpy.repeat(per_example + errors, len(OCTAVES), axis=1)
    return Outlook(sizes, rates, log_costs)


def by_size(found: Outlook) -> tuple[SizeOutlook, ...]:
    """Return one entry a batch size, at the rate of least expected regret there."""
    regret, winners = found.expected_regret, found.log_costs.argmin(axis=1)
    reference = found.log_costs[:, found.chosen]
    rows = []
    for size in numpy.unique(found.batch_sizes):
        own = numpy.flatnonzero(found.batch_sizes == size)
        best = int(own[regret[own].argmin()])
        ratios = numpy.exp(numpy.clip(found.log_costs[:, best] - reference, -MOST_LOG_RATIO, MOST_LOG_RATIO))
        low, middle, high = (float(value) for value in numpy.quantile(ratios, [0.025, 0.5, 0.975]))
        share = float(numpy.isin(winners, own).mean())
        rows.append(
            SizeOutlook(int(size), float(found.learning_rates[best]), float(regret[best]), middle, low, high, share)
        )
    return tuple(rows)


def challengers(found: Outlook, most: int = 4) -> list[tuple[int, float]]:
    """Return the chosen setting, then those most often the best among draws that no earlier one is near the best of."""
    winners = found.log_costs.argmin(axis=1)
    counts_left = numpy.ones(len(winners), dtype=bool)
    picked = [found.chosen]
    while len(picked) < most:
        counts_left &= ~_near(found, winners, picked[-1])
        if counts_left.mean() < LEAST_CHANCE:
            break
        candidates, counts = numpy.unique(winners[counts_left], return_counts=True)
        mass = [counts[_near(found, candidates, int(one))].sum() for one in candidates]
        picked.append(int(candidates[int(numpy.argmax(mass))]))
    return [(int(found.batch_sizes[one]), float(found.learning_rates[one])) for one in picked]


def _near(found: Outlook, settings: NDArray[numpy.intp], one: int) -> NDArray[numpy.bool_]:
    sizes = numpy.abs(numpy.log2(found.batch_sizes[settings] / found.batch_sizes[one])) < NEAR_SIZES
    rates = numpy.abs(numpy.log2(found.learning_rates[settings] / found.learning_rates[one])) <= NEAR_RATES
    return numpy.asarray(sizes & rates)


def _rounded(octaves: float) -> float:
    return round(octaves / OCTAVE_STEP) * OCTAVE_STEP
