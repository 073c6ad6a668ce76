"""The scouting trials of a race as points of its cost surface: where each reached the target, or would have."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchlab.analyze.arms import TUNING_SEED_BASE
from batchlab.numerics.cost_posterior import CostRun
from batchlab.numerics.crossings import crossing_scatter, first_crossing
from batchlab.numerics.matched_progress import matched_progress
from batchlab.records import HELD, StudySpec, TrialResult, WorkloadInfo

# A curve that moves at less than this share of the pace of the reference levels off: its rate was too high.
LEAST_PACE = 0.6
# What an extrapolated ln(cost) may be off by: a share of how far ahead it lies, and a little.
SHARE_OFF, LEAST_OFF = 0.3, 0.03


@dataclass(frozen=True, slots=True)
class Scouted:
    """The scouting trials as runs, in the order of the arms; `costs` are the least ln(examples) to the target by arm.

    While no trial has reached the target `costs` is empty, and the runs are those to the best value that any trial
    has seen.
    """

    runs: tuple[CostRun, ...]
    costs: Mapping[int, float]


def scouted(spec: StudySpec, info: WorkloadInfo, by_arm: Mapping[int, Sequence[TrialResult]]) -> Scouted:
    """Return the scouting trials as points of the cost surface.

    Args:
        spec: the question.
        info: its workload.
        by_arm: the scouting trials of each arm.
    """
    assert spec.target is not None
    trials = [(arm, one) for arm in spec.batch_sizes for one in by_arm[arm] if one.curve.examples]
    points = {id(one): examples_to(spec.target, one, info) for _, one in trials}
    costs: dict[int, float] = {}
    for arm, one in trials:
        if (point := points[id(one)]) is not None:
            costs[arm] = min(costs.get(arm, math.inf), _log(point))
    if not costs and (stand_in := _best_seen(info, [one for _, one in trials])) is not None:
        points = {id(one): examples_to(stand_in, one, info) for _, one in trials}
    reached = [(one, point) for _, one in trials if (point := points[id(one)]) is not None]
    arms = {arm: index for index, arm in enumerate(spec.batch_sizes)}
    return Scouted(tuple(_run(arms[arm], one, points[id(one)], reached, info) for arm, one in trials), costs)


def examples_to(target: float, trial: TrialResult, info: WorkloadInfo) -> float | None:
    """Return the examples after which a trial first reached a target, None where it did not."""
    curve = trial.curve
    return _first_at(curve.examples, curve.valid_metric, target, info.higher_is_better)


# A plan looks at every scouting trial again with each result that comes in.
@functools.lru_cache(maxsize=1024)
def _first_at(
    examples: tuple[int, ...], metric: tuple[float, ...], target: float, higher_is_better: bool
) -> float | None:
    crossing = first_crossing(examples, metric, target, higher_is_better=higher_is_better, held=HELD)
    return crossing.point if crossing.status != "trivial" else 0.0


def _best_seen(info: WorkloadInfo, trials: Sequence[TrialResult]) -> float | None:
    """Return the best value of a trained model that did not diverge later, None where there is none."""
    values = [value for one in trials if one.status != "diverged" for value in one.curve.valid_metric[1:]]
    return (max if info.higher_is_better else min)(values, default=None)


def _run(
    arm: int,
    trial: TrialResult,
    point: float | None,
    reached: Sequence[tuple[TrialResult, float]],
    info: WorkloadInfo,
) -> CostRun:
    log_rate, seed = math.log(trial.settings.learning_rate), trial.settings.seed - TUNING_SEED_BASE
    if point is not None:
        return CostRun(arm, log_rate, _log(point), True, seed=seed, scatter=_scatter(trial, point))
    end = _log(trial.examples)
    if trial.status == "diverged" or not reached:
        return CostRun(arm, log_rate, end, False, failed=trial.status == "diverged", seed=seed)
    reference, cost = _nearest(trial, reached)
    progress = matched_progress(
        trial.curve.examples,
        trial.curve.valid_metric,
        reference.curve.examples,
        reference.curve.valid_metric,
        higher_is_better=info.higher_is_better,
    )
    if progress is None:
        return CostRun(arm, log_rate, end, False, seed=seed)
    left = max(0.0, _log(cost) - progress.log_matched)
    if progress.pace < LEAST_PACE:
        return CostRun(arm, log_rate, end + left, False, failed=True, seed=seed)
    ahead = left / min(1.0, progress.pace)
    off, scatter = SHARE_OFF * ahead + LEAST_OFF, _scatter(trial, math.inf)
    return CostRun(arm, log_rate, end + ahead, True, seed=seed, extra_sd=off, scatter=scatter)


def _scatter(trial: TrialResult, point: float) -> float:
    """Return how far the crossing at a point may be off by chance, from the curve up to the evaluation after it."""
    return _scatter_to(trial.curve.examples, trial.curve.valid_metric, point)


@functools.lru_cache(maxsize=1024)
def _scatter_to(examples: tuple[int, ...], metric: tuple[float, ...], point: float) -> float:
    there = next((index for index, one in enumerate(examples) if one >= point), len(examples) - 1)
    return crossing_scatter(examples[: there + 1], metric[: there + 1])


def _nearest(trial: TrialResult, reached: Sequence[tuple[TrialResult, float]]) -> tuple[TrialResult, float]:
    """Return the trial at the target whose batch size is nearest, the quickest of several, with its cost."""
    size = math.log(trial.settings.batch_size)
    return min(reached, key=lambda one: (abs(math.log(one[0].settings.batch_size) - size), one[1]))


def _log(examples: float) -> float:
    return math.log(max(1.0, examples))
