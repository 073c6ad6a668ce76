"""Learning rate schedules, indexed by examples and never by steps, so that they mean the same at every batch size."""

import math

from batchlab.records import Schedule


def learning_rate_factor(schedule: Schedule, before: float, after: float) -> float:
    """Return what the learning rate is multiplied by in a step that takes the trial from share `before` to `after`.

    Shares are of all the examples of the trial, in [0, 1]. Warm-up is linear in examples and reaches 1 with the step
    that completes it; the decay is read at the start of the step.

    >>> learning_rate_factor(Schedule("cosine", warmup=0.1), 0.0, 0.05)
    0.5
    """
    if after < schedule.warmup:
        return after / schedule.warmup
    if schedule.kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * max(0.0, before - schedule.warmup) / (1 - schedule.warmup)))
    if schedule.kind == "step":
        return float(schedule.factor ** sum(before >= milestone for milestone in schedule.milestones))
    return 1.0
