"""When single trials first reached a target, and what that cost."""

import math
from collections.abc import Iterable

from batchlab.analyze.target_findings import TargetRun
from batchlab.numerics.crossings import first_crossing
from batchlab.records import HELD, TrialResult


def target_run(size: int, trial: TrialResult, target: float, higher_is_better: bool) -> TargetRun:
    """Return when a trial first reached a target, in steps."""
    curve = trial.curve
    crossing = first_crossing(curve.steps, curve.valid_metric, target, higher_is_better=higher_is_better, held=HELD)
    status = "diverged" if trial.status == "diverged" and crossing.point is None else crossing.status
    return TargetRun(size, trial.settings.seed, status, crossing.low, crossing.high, crossing.point)


def most_missed(runs: Iterable[TargetRun]) -> bool:
    """Return whether half of the runs or more did not get there, so that the middle one was not seen."""
    found = tuple(runs)
    reached = sum(run.steps is not None for run in found)
    return 2 * reached <= len(found) and not any(run.status == "trivial" for run in found)


def log_cost(run: TargetRun, step_cost: float) -> float:
    """Return ln(cost) of a run, up to its end where it did not reach the target."""
    return math.log((run.steps or max(1.0, run.low)) * step_cost)
