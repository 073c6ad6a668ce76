"""The comparison of batch sizes under one budget: who is best, who ties, who is worse, and by which rule."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from scipy.special import stdtrit

from batchlab.numerics.comparisons import (
    Comparison,
    compare_to_best,
    equal_means_p_value,
    indifference_set,
    seeds_to_settle,
)
from batchlab.numerics.intervals import Interval, t_interval

FEWEST_SEEDS = 3

Scores = Mapping[int, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class Contest:
    """What is compared: for each batch size the validation metric of each seed, and what bears on the verdict.

    `asked` are all the sizes of the study; `baselines` the metric of the best constant predictor on the same data,
    nothing where that says nothing (a time);
    `tuning_variances` what choosing the learning rate adds to the variance of a mean; `at_edge` the sizes whose
    learning rate stayed at the edge of its search; `diverged` the sizes at which training diverged, which have no
    scores; `dropped` those shown to be worse at an earlier look at fewer seeds, which have none either.
    `interval_level` is that of the best size's interval where it differs from the level of the comparisons.
    """

    asked: tuple[int, ...]
    scores: Scores
    baselines: Scores
    tuning_variances: Mapping[int, float]
    higher_is_better: bool
    margin: float
    level: float
    at_edge: tuple[int, ...] = ()
    diverged: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    interval_level: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Who is best by the mean, who is not shown to be worse, and what the comparison of each with the best shows."""

    best: int
    kept: tuple[int, ...]
    compared: Mapping[int, Comparison]

    @property
    def tied(self) -> tuple[int, ...]:
        """Return the sizes kept that are equivalent to the best within the margin, without the best."""
        return tuple(size for size in self.kept if size != self.best and self.compared[size].outcome == "equivalent")

    @property
    def undecided(self) -> tuple[int, ...]:
        """Return the sizes kept that are not."""
        return tuple(size for size in self.kept if size != self.best and size not in self.tied)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict with the batch sizes in each role; `seeds_needed` would settle an underpowered contest.

    `worse_within_margin` are those of the `worse` that are shown to be so by less than the margin, `dropped` those that
    were at an earlier look and have fewer seeds.
    """

    verdict: str
    best: int | None
    best_value: Interval | None
    baseline: float | None
    n_seeds: int
    tied: tuple[int, ...] = ()
    undecided: tuple[int, ...] = ()
    worse: tuple[int, ...] = ()
    worse_within_margin: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    seeds_needed: int | None = None
    reasons: tuple[str, ...] = field(default=())


def decide(contest: Contest) -> Outcome:
    """Return the outcome by the first rule that applies.

    no-signal: the best size is not shown better than the best constant predictor (one-sided paired t over seeds, its
    level divided by the number of sizes, since the best of several is tested). edge-of-range: the only best size is
    the smallest or largest tried, or the best one's learning rate stayed at the edge of its search. resolved: one size
    is left in the indifference set. tied: all of several are equivalent to the best within the margin. underpowered:
    not all are, or there are fewer than 3 seeds, which show no difference (and no signal but by its sign).

    A size counts as worse only if it is outside the indifference set *and* the global two-way F test rejects equal
    means: the indifference set alone keeps each true best with its level, but of eight equal sizes it drops some one
    in a quarter of all studies.
    """
    sizes = tuple(size for size, seeds in contest.scores.items() if seeds)
    out = (*contest.diverged, *contest.dropped)
    if not sizes:
        verdict = "no-signal" if contest.diverged else "underpowered"
        return Outcome(verdict, None, None, None, 0, worse=out)
    n_seeds = len(next(iter(contest.scores.values())))
    best = _best(contest)
    value = t_interval(
        list(contest.scores[best].values()),
        level=contest.interval_level or contest.level,
        extra_variance=contest.tuning_variances.get(best, 0.0),
    )
    baseline = statistics.fmean(contest.baselines[best].values()) if contest.baselines else None
    if contest.baselines and not _beats_baseline(contest, best):
        return Outcome("no-signal", None, value, baseline, n_seeds, undecided=sizes, worse=out)
    if n_seeds < FEWEST_SEEDS:
        others = tuple(size for size in sizes if size != best)
        return Outcome("underpowered", best, value, baseline, n_seeds, undecided=others, worse=out)
    found = standing(contest)
    beaten = tuple(size for size in sizes if size not in found.kept)
    reasons = _edge_reasons(contest, best, found.kept)
    return Outcome(
        verdict=_verdict(reasons, found.kept, found.undecided),
        best=best,
        best_value=value,
        baseline=baseline,
        n_seeds=n_seeds,
        tied=found.tied,
        undecided=found.undecided,
        worse=tuple(sorted((*beaten, *out))),
        worse_within_margin=tuple(size for size in beaten if found.compared[size].outcome == "equivalent"),
        seeds_needed=_seeds_needed(contest, found.undecided) if found.undecided else None,
        reasons=reasons,
        dropped=contest.dropped,
    )


def standing(contest: Contest) -> Standing:
    """Return who is kept and who ties at this contest's level; needs 3 seeds of each size."""
    best = _best(contest)
    compared = compare_to_best(
        contest.scores,
        margin=contest.margin,
        level=contest.level,
        higher_is_better=contest.higher_is_better,
        extra_variance=contest.tuning_variances,
    )
    return Standing(best, _not_worse(contest, best), compared)


def _best(contest: Contest) -> int:
    means = {size: statistics.fmean(seeds.values()) for size, seeds in contest.scores.items()}
    return (max if contest.higher_is_better else min)(means, key=means.__getitem__)


def _beats_baseline(contest: Contest, best: int) -> bool:
    sign = 1.0 if contest.higher_is_better else -1.0
    gains = [sign * (value - contest.baselines[best][seed]) for seed, value in contest.scores[best].items()]
    mean = statistics.fmean(gains)
    if len(gains) < FEWEST_SEEDS:
        return mean > 0
    error = math.sqrt(statistics.variance(gains) / len(gains) + contest.tuning_variances.get(best, 0.0))
    alpha = (1 - contest.level) / len(contest.scores)
    return mean > error * float(stdtrit(len(gains) - 1, 1 - alpha))


def _not_worse(contest: Contest, best: int) -> tuple[int, ...]:
    sizes = tuple(contest.scores)
    if len(sizes) == 1:
        return sizes
    if equal_means_p_value(contest.scores, extra_variance=contest.tuning_variances) >= 1 - contest.level:
        return sizes
    kept = indifference_set(
        contest.scores, contest.level, contest.higher_is_better, extra_variance=contest.tuning_variances
    )
    return tuple(sorted({*kept, best}))


def _edge_reasons(contest: Contest, best: int, kept: tuple[int, ...]) -> tuple[str, ...]:
    reasons = []
    if len(kept) == 1 and best == min(contest.asked):
        reasons.append("smallest")
    if len(kept) == 1 and best == max(contest.asked):
        reasons.append("largest")
    if best in contest.at_edge:
        reasons.append("learning rate")
    return tuple(reasons)


def _verdict(reasons: tuple[str, ...], kept: tuple[int, ...], undecided: tuple[int, ...]) -> str:
    if reasons:
        return "edge-of-range"
    if len(kept) == 1:
        return "resolved"
    return "underpowered" if undecided else "tied"


def _seeds_needed(contest: Contest, undecided: tuple[int, ...]) -> int | None:
    needed = seeds_to_settle(
        contest.scores,
        margin=contest.margin,
        level=contest.level,
        higher_is_better=contest.higher_is_better,
        extra_variance=contest.tuning_variances,
    )
    counts = [needed[size] for size in undecided]
    return None if None in counts else max(count for count in counts if count is not None)
