"""Adding seeds only where the answer is open: planned looks at the confirmed trials, each at a level of its own.

At a look, batch sizes that are shown to be worse are dropped and get no more seeds; when those left all tie, or one is
left, the study is done. The levels (`numerics.sequential`) keep the true best at all looks together with the
probability asked for. What a look sees does not depend on what came after it, so that looking again changes nothing.
"""

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy

from batchlab.analyze.contest import FEWEST_SEEDS, Contest, Scores, standing
from batchlab.analyze.learning_rates import ChosenLearningRate
from batchlab.numerics.dunnett import dunnett_point, dunnett_probability
from batchlab.numerics.sequential import look_levels
from batchlab.records import StudySpec, TrialResult, WorkloadInfo

GROWTH = 1.5
HIGHEST_LEVEL = 1 - 1e-9

Confirmed = Mapping[int, Mapping[int, TrialResult]]
ContestAt = Callable[[tuple[int, ...], int], Contest]


@dataclass(frozen=True, slots=True)
class Course:
    """How far an adaptive confirmation has come.

    `n_seeds` are the seeds that each arm needs by now. The others are of the last look that was complete: the seeds it
    saw (0 before the first), its level, the arms it compared, and those dropped at looks before it with the seeds that
    they had then. `is_open` tells whether more seeds are wanted.
    """

    n_seeds: dict[int, int]
    seen: int
    level: float
    compared: tuple[int, ...]
    dropped: dict[int, int]
    is_open: bool


def seed_looks(seeds: int, max_seeds: int) -> tuple[int, ...]:
    """Return the numbers of seeds at which the study is looked at: each half as many again, at most `max_seeds`.

    >>> seed_looks(5, 20), seed_looks(4, 5)
    ((5, 8, 12, 20), (4, 5))
    """
    looks = [seeds]
    while looks[-1] < max_seeds:
        wanted = math.ceil(GROWTH * looks[-1])
        # No last look of a few seeds more.
        looks.append(wanted if GROWTH * wanted <= max_seeds * 1.1 else max_seeds)
    return tuple(looks)


def metric_course(
    spec: StudySpec, info: WorkloadInfo, rates: Mapping[int, ChosenLearningRate], confirmed: Confirmed
) -> Course | None:
    """Return how far a study has come that is about the metric; None where its number of seeds is fixed.

    Args:
        spec: the question.
        info: its workload.
        rates: the learning rate of each arm that can be trained.
        confirmed: {arm: {seed: its trial at that learning rate}}, failed ones among them.
    """
    arms = tuple(arm for arm in spec.batch_sizes if arm in rates)
    variances = {arm: rate.metric_variance for arm, rate in rates.items()}

    def contest_at(left: tuple[int, ...], look: int) -> Contest:
        return _metric_contest(spec, info, _scores(confirmed, left, look), variances)

    return course_of(spec, arms, len(spec.batch_sizes), confirmed, contest_at)


def course_of(
    spec: StudySpec, arms: tuple[int, ...], n_sizes: int, confirmed: Confirmed, contest_at: ContestAt
) -> Course | None:
    """Return how far a study has come; None where its number of seeds is fixed.

    Args:
        spec: the question.
        arms: those that are confirmed.
        n_sizes: how many were chosen from before any of these seeds was seen: the best is kept against so many.
        confirmed: {arm: {seed: its trial}}, failed ones among them.
        contest_at: returns the contest of some arms at their first so many seeds, all of which are known, at the
            study's level; arms that cannot be compared have no scores in it.
    """
    if spec.max_seeds is None:
        return None
    looks = seed_looks(spec.seeds, spec.max_seeds)
    levels = look_levels(looks, n_sizes, spec.level) if n_sizes > 1 else (spec.level,) * len(looks)
    course = Course(dict.fromkeys(arms, looks[0]), 0, levels[0], arms, {}, True)
    left = arms
    for look, level in zip(looks, levels, strict=True):
        needs = {**course.n_seeds, **dict.fromkeys(left, look)}
        gone = {arm: course.n_seeds[arm] for arm in arms if arm not in left}
        if not all(seed in confirmed.get(arm, {}) for arm in left for seed in range(look)):
            return dataclasses.replace(course, n_seeds=needs, is_open=True)
        contest = contest_at(left, look)
        adjusted = _level_for_fewer(level, len(contest.scores), n_sizes, look)
        course = Course(needs, look, adjusted, left, gone, False)
        left = _still_open(dataclasses.replace(contest, level=adjusted))
        if not left:
            return course
    return course


def drop_diverged(confirmed: Mapping[int, TrialResult], look: int) -> bool:
    """Return whether an arm had diverged within the seeds of a look."""
    return any(one.status == "diverged" for seed, one in confirmed.items() if seed < look)


def _scores(confirmed: Confirmed, arms: tuple[int, ...], look: int) -> dict[int, dict[int, float]]:
    """Return the metric by seed of each arm that has not diverged, at the seeds that all of these have."""
    rows = {
        arm: {seed: one.valid_metric for seed, one in confirmed[arm].items() if seed < look and one.status == "done"}
        for arm in arms
        if not drop_diverged(confirmed[arm], look)
    }
    common = set.intersection(*map(set, rows.values())) if rows else set()
    return {arm: {seed: row[seed] for seed in sorted(common)} for arm, row in rows.items()}


def _metric_contest(spec: StudySpec, info: WorkloadInfo, scores: Scores, variances: Mapping[int, float]) -> Contest:
    means = [statistics.fmean(row.values()) for row in scores.values() if row]
    best = (max if info.higher_is_better else min)(means, default=1.0)
    return Contest(
        asked=spec.batch_sizes,
        scores=scores,
        baselines={},
        tuning_variances=variances,
        higher_is_better=info.higher_is_better,
        margin=spec.margin or (info.margin * abs(best) if info.margin_is_relative else info.margin),
        level=spec.level,
    )


def _still_open(contest: Contest) -> tuple[int, ...]:
    """Return the arms that need more seeds, in the order of the study; none where the answer is not open."""
    scores = contest.scores
    if len(scores) < 2:
        return ()
    if min(map(len, scores.values())) < FEWEST_SEEDS:
        return tuple(scores)
    found = standing(contest)
    return tuple(arm for arm in scores if arm in found.kept) if found.undecided else ()


def _level_for_fewer(level: float, n_left: int, n_sizes: int, look: int) -> float:
    """Return the level at which `n_left` arms are compared as strictly as all `n_sizes` would be.

    Those dropped are not there to be the best by chance, but those left were chosen for looking good: the point
    stays that of all of them.
    """
    if not 1 < n_left < n_sizes:
        return level
    df = (look - 1) * (n_left - 1)
    stricter = dunnett_probability(dunnett_point(n_sizes, df, level), numpy.full(n_left - 1, math.sqrt(0.5)), df)
    return min(max(stricter, level), HIGHEST_LEVEL)
