"""The contest of a race: ln(cost to the target) of the confirmed sizes, paired by seed."""

import math
from collections.abc import Iterable, Mapping

from batchlab.analyze.contest import Contest
from batchlab.analyze.learning_rates import ChosenLearningRate
from batchlab.analyze.looks import Confirmed, Course, course_of
from batchlab.analyze.race import MARGIN
from batchlab.analyze.target_runs import log_cost, most_missed, target_run
from batchlab.records import StudySpec, WorkloadInfo

Rates = Mapping[int, ChosenLearningRate]


def step_costs(spec: StudySpec, arms: Iterable[int], step_times: Mapping[int, float]) -> dict[int, float]:
    """Return what a step of each arm costs: quiet seconds where they are known at all of them, else examples."""
    sizes = {arm: spec.same_batch_size or arm for arm in arms}
    if all(size in step_times for size in sizes.values()):
        return {arm: step_times[size] for arm, size in sizes.items()}
    return {arm: float(size) for arm, size in sizes.items()}


def race_contest(
    spec: StudySpec, info: WorkloadInfo, rates: Rates, confirmed: Confirmed, costs: Mapping[int, float]
) -> Contest:
    """Return the contest of the arms in `confirmed`, over the seeds that all of these have.

    A run that did not get there counts as if it had where it ended, which can only make its size look faster; a size
    most of whose runs did not, or one of whose runs diverged, counts as slower and has no scores.

    Args:
        spec: the question.
        info: its workload.
        rates: the learning rate of each arm; choosing it adds noise.
        confirmed: {arm: {seed: its trial at that learning rate}}; failed ones have nothing to say.
        costs: of a step of each arm.
    """
    assert spec.target is not None
    done = {arm: {seed: one for seed, one in row.items() if one.status != "failed"} for arm, row in confirmed.items()}
    runs = {
        arm: [target_run(arm, one, spec.target, info.higher_is_better) for one in row.values()]
        for arm, row in done.items()
        if row
    }
    broken = {arm for arm, row in done.items() if any(one.status == "diverged" for one in row.values())}
    out = tuple(arm for arm, found in runs.items() if arm in broken or most_missed(found))
    rows = {
        arm: {run.seed: log_cost(run, costs[arm]) for run in found} for arm, found in runs.items() if arm not in out
    }
    common = set.intersection(*map(set, rows.values())) if rows else set()
    return Contest(
        asked=spec.batch_sizes,
        scores={arm: {seed: row[seed] for seed in sorted(common)} for arm, row in rows.items()},
        baselines={},
        tuning_variances={arm: rates[arm].metric_variance for arm in rows},
        higher_is_better=False,
        margin=math.log1p(MARGIN),
        level=spec.level,
        at_edge=tuple(arm for arm in rows if rates[arm].at_edge),
        diverged=tuple(sorted(out)),
    )


def race_course(
    spec: StudySpec, info: WorkloadInfo, rates: Rates, confirmed: Confirmed, step_times: Mapping[int, float]
) -> Course | None:
    """Return how far the confirmation of a race has come; None where its number of seeds is fixed.

    The contenders were chosen by scouting trials, whose seeds are others: the looks are planned for as many as these.
    """
    costs = step_costs(spec, rates, step_times)

    def contest_at(left: tuple[int, ...], look: int) -> Contest:
        seen = {arm: {seed: one for seed, one in confirmed[arm].items() if seed < look} for arm in left}
        return race_contest(spec, info, rates, seen, costs)

    return course_of(spec, tuple(rates), len(rates), confirmed, contest_at)
