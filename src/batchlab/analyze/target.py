"""When trials first reached the target, and what each batch size needed for it: steps, examples, quiet seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchlab.analyze.findings import Estimate
from batchlab.analyze.geometric import geometric_estimate
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.target_findings import TargetRun
from batchlab.analyze.target_runs import most_missed, target_run
from batchlab.records import TrialResult


@dataclass(frozen=True, slots=True)
class Reach:
    """How one batch size reached the target; the estimates are None unless more than half of its seeds did.

    Flags: target_not_reached (no more than half did), censored (some ran out of budget), plateaued (some will not).
    """

    n_reached: int | None
    steps: Estimate | None
    examples: Estimate | None
    seconds: Estimate | None
    flags: tuple[str, ...]
    joules: Estimate | None = None


NO_TARGET = Reach(None, None, None, None, ())


def runs_to_target(study: Prepared) -> dict[int, tuple[TargetRun, ...]]:
    """Return when each confirmed trial reached the study's target, by arm; nothing without a target.

    Curves are taken as they were evaluated, at examples that grow by 19% or, where evaluation would cost more than
    training, by more (`points_toward_target`): the same ones at every batch size where the budget is one of examples
    or epochs, so that noise, which crosses early, has as many chances at each.
    """
    target = study.record.spec.target
    if target is None:
        return {}
    return {
        size: tuple(target_run(size, trial, target, study.metric.higher_is_better) for trial in found)
        for size, found in study.confirmed.items()
        if found
    }


def reach_of(
    runs: Sequence[TargetRun],
    examples_per_step: float,
    step_time_s: float | None,
    level: float,
    step_joules: float | None = None,
) -> Reach:
    """Return what one batch size needed for the target: geometric means over its seeds, intervals on the log scale.

    Trials that ran out of budget count as what they are, longer than the budget; those that level off short of the
    target or diverge have no time to it and are left out. With half of the seeds or more not there, the
    middle one was not seen and there is no estimate. What a step takes, in seconds and joules, is taken as known: its
    own error is not inside.
    """
    reached = [run.steps for run in runs if run.steps is not None]
    beyond = [run.low for run in runs if run.status == "not_reached"]
    enough = 2 * len(reached) > len(runs)
    present = {
        "target_not_reached": most_missed(runs),
        "censored": enough and bool(beyond),
        "plateaued": any(run.status == "plateaued" for run in runs),
    }
    steps = geometric_estimate(reached, beyond, level) if enough else None
    return Reach(
        n_reached=len(reached),
        steps=steps,
        examples=_times(steps, examples_per_step),
        seconds=_times(steps, step_time_s),
        flags=tuple(flag for flag, is_present in present.items() if is_present),
        joules=_times(steps, step_joules),
    )


def examples_per_step(trials: Sequence[TrialResult]) -> float:
    """Return the examples of a step on average: fewer than the batch size where short batches are kept."""
    return sum(one.examples for one in trials) / max(1, sum(one.steps for one in trials))


def _times(estimate: Estimate | None, factor: float | None) -> Estimate | None:
    if estimate is None or factor is None:
        return None
    low, high = (None if limit is None else limit * factor for limit in (estimate.low, estimate.high))
    return Estimate(estimate.mean * factor, low, high)
