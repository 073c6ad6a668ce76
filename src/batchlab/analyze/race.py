"""The race to a target: what the scouting trials say each batch size needs for it, and which sizes are still in.

Scouting trials end when they have reached the target or cannot win any more, so that most of them are short. One cost
surface over all of them (`numerics.cost_surface`) tells what each batch size needs at its best learning rate.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.special import ndtri

from batchlab.analyze.arms import results_by_arm
from batchlab.analyze.findings import Exponent
from batchlab.analyze.learning_rates import ChosenLearningRate
from batchlab.analyze.scouting import Scouted, scouted
from batchlab.numerics.cost_surface import CostSurface, fit_cost_surface
from batchlab.numerics.lr_response import tuning_variance
from batchlab.numerics.rate_excess import rate_excess
from batchlab.records import StepTime, StudySpec, TrialResult, WorkloadInfo

Array = NDArray[numpy.float64]

# Times that differ by less tie: step times cannot show it.
MARGIN = 0.05
# An arm is out when even the optimistic limit of its cost, so many standard deviations down, exceeds the best.
OPTIMISM = 2.5
OCTAVE = math.log(2.0)


@dataclass(frozen=True, slots=True)
class Race:
    """What is known of the race.

    `objectives` are offsets of shape (arms,) that turn ln(examples) into ln(cost), one an objective: quiet seconds
    where step times are known, else examples and steps both. `log_budgets` are ln(examples) of a whole trial, infinite
    at an arm that was not tried. `keeps_all`: no arm may be dropped.
    """

    arms: tuple[int, ...]
    scouted: Scouted
    surface: CostSurface
    objectives: tuple[Array, ...]
    log_budgets: Array
    keeps_all: bool

    def shortfall(self, arm: int) -> tuple[float, float]:
        """Return by how much ln(cost) of an arm exceeds the best, and the standard deviation of that.

        In the objective in which it does best. The best is that of the arms that get there within the budget, as far as
        there are any.
        """
        index, found = self.arms.index(arm), []
        there = self.surface.log_cost <= self.log_budgets
        for offsets in self.objectives:
            cost = self.surface.log_cost + offsets
            best = int(numpy.where(there, cost, numpy.inf).argmin() if there.any() else cost.argmin())
            mean, sd = self.surface.difference(index, best)
            found.append((mean + float(offsets[index] - offsets[best]), sd))
        return min(found, key=lambda one: one[0] - OPTIMISM * one[1])

    def is_in_time(self, arm: int) -> bool:
        """Return whether an arm may get to the target within the budget."""
        index = self.arms.index(arm)
        optimistic = self.surface.log_cost[index] - OPTIMISM * self.surface.log_cost_sd[index]
        return bool(optimistic <= self.log_budgets[index])

    def is_in(self, arm: int) -> bool:
        """Return whether an arm is in: it may still be as good as the best within the margin, or none is dropped."""
        mean, sd = self.shortfall(arm)
        return self.keeps_all or (self.is_in_time(arm) and mean - OPTIMISM * sd <= math.log1p(MARGIN))

    @property
    def contenders(self) -> tuple[int, ...]:
        """Return the arms that are in."""
        return tuple(arm for arm in self.arms if self.is_in(arm))


def race_of(
    spec: StudySpec, info: WorkloadInfo, trials: Iterable[TrialResult], step_times: Sequence[StepTime]
) -> Race | None:
    """Return what the scouting trials among `trials` say; None where all of them diverged or failed."""
    by_arm = results_by_arm(spec, trials, "tune")
    found = scouted(spec, info, by_arm)
    if not any(run.reached for run in found.runs):
        return None
    # The arms of an A/A control are of one size, whatever their names.
    sizes = tuple(float(spec.same_batch_size or arm) for arm in spec.batch_sizes)
    surface = fit_cost_surface(sizes, found.runs, base_rate=spec.base_lr, base_batch_size=spec.base_batch_size)
    return Race(
        arms=spec.batch_sizes,
        scouted=found,
        surface=surface,
        objectives=_objectives(spec, step_times),
        log_budgets=numpy.array([_log_budget(by_arm[arm]) for arm in spec.batch_sizes]),
        keeps_all=spec.confirm == "all",
    )


def race_rates(race: Race, level: float) -> dict[int, ChosenLearningRate]:
    """Return the learning rate of each arm that is in: of least expected cost, given how well the best is known.

    Empty where no trial has reached the target. The variance that the noise of the choice adds is that of the arm's
    mean ln(cost).
    """
    arms = race.contenders if race.scouted.costs else ()
    return {arm: _chosen(race, race.arms.index(arm), level) for arm in arms}


def race_exponent(race: Race, level: float) -> Exponent:
    """Return p of best learning rate ∝ B^p over the sizes, from the surface: least squares through its best rates.

    Weights are the inverse variances; the interval is that of the slope under the covariance of the best rates.
    """
    n, surface = len(race.arms), race.surface
    x = numpy.log(numpy.asarray(race.arms, dtype=float))
    weight = 1 / surface.log_rate_sd**2
    centered = x - numpy.average(x, weights=weight)
    loads = weight * centered / float((weight * centered**2).sum())
    slope = float(loads @ surface.log_rate)
    reach = float(ndtri(0.5 + level / 2)) * math.sqrt(float(loads @ surface.covariance[n:, n:] @ loads))
    return Exponent(slope, slope - reach, slope + reach)


def _chosen(race: Race, index: int, level: float) -> ChosenLearningRate:
    surface = race.surface
    log_rate, sd = surface.cautious_log_rate(index), float(surface.log_rate_sd[index])
    distance = log_rate - float(surface.log_rate[index])
    slope = float(rate_excess(distance, surface.right, surface.tau).by_z)
    half_width = float(ndtri(0.5 + level / 2)) * sd
    tried = [run.log_rate for run in race.scouted.runs if run.arm == index]
    return ChosenLearningRate(
        value=float(f"{math.exp(log_rate):.3g}"),
        low=math.exp(float(surface.log_rate[index]) - half_width),
        high=math.exp(float(surface.log_rate[index]) + half_width),
        log2_variance=(sd / OCTAVE) ** 2,
        at_edge=log_rate > max(tried, default=math.inf) + OCTAVE,
        metric_variance=tuning_variance(slope, surface.right / surface.tau, sd**2),
    )


def _log_budget(trials: Sequence[TrialResult]) -> float:
    whole = [one.settings.n_steps * one.settings.batch_size for one in trials]
    return math.log(max(whole)) if whole else math.inf


def _objectives(spec: StudySpec, step_times: Sequence[StepTime]) -> tuple[Array, ...]:
    sizes = [spec.same_batch_size or arm for arm in spec.batch_sizes]
    known: Mapping[int, float] = {one.batch_size: one.median_s for one in step_times}
    steps = -numpy.log(numpy.asarray(sizes, dtype=float))
    if all(size in known for size in sizes):
        return (numpy.log([known[size] for size in sizes]) + steps,)
    return numpy.zeros(len(sizes)), steps
