"""The same trials compared under equal steps, equal examples and equal quiet time, read off the recorded curves."""

import math
from collections.abc import Mapping, Sequence

import numpy

from batchlab.records import Curve, TrialResult

BUDGETS = ("steps", "examples", "seconds")


def common_budget(
    trials: Mapping[int, Sequence[TrialResult]], step_times: Mapping[int, float], budget: str
) -> dict[int, float] | None:
    """Return at how many steps each batch size is read under an equal budget: the largest that all of them reached.

    None where the budget needs a step time that was not measured.
    """
    steps = {size: min(trial.steps for trial in found) for size, found in trials.items()}
    if budget == "steps":
        return dict.fromkeys(steps, float(min(steps.values())))
    if budget == "examples":
        examples = {size: min(trial.examples for trial in found) for size, found in trials.items()}
        share = min(examples.values())
        return {size: steps[size] * share / examples[size] for size in steps}
    if any(size not in step_times for size in steps):
        return None
    limit = min(count * step_times[size] for size, count in steps.items())
    return {size: limit / step_times[size] for size in steps}


def metric_at_step(curve: Curve, step: float) -> float:
    """Return the validation metric at a number of steps, linear in log(1 + step) between evaluations.

    Curves fall fast at first and slowly later; evaluations are dense at the start for the same reason.
    """
    return float(numpy.interp(math.log1p(step), numpy.log1p(curve.steps), curve.valid_metric))
