"""How much worse today's setting is than one that was picked among several, paired over seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import stdtrit

from batchlab.analyze.contest import FEWEST_SEEDS, Scores
from batchlab.numerics.dunnett import dunnett_probability
from batchlab.numerics.intervals import Interval
from batchlab.numerics.mean_errors import MeanErrors, mean_errors

# Today's place among batch sizes, none of which is 0.
TODAY = 0


@dataclass(frozen=True, slots=True)
class Pick:
    """The arm that today's setting is compared with, and what bears on the comparison.

    `rivals` are the arms that may be the best, among which `arm` was picked on the same seeds; `scores` and
    `tuning_variances` those of all arms, as in a contest.
    """

    arm: int
    rivals: tuple[int, ...]
    scores: Scores
    tuning_variances: Mapping[int, float]
    higher_is_better: bool
    margin: float
    level: float


@dataclass(frozen=True, slots=True)
class Loss:
    """How much worse today's setting is, positive where it is worse, and what that shows.

    `outcomes` hold worse or better where the interval excludes 0, and within_margin where the two one-sided tests at
    the level show a difference smaller than the margin; undecided where none holds, nothing without an interval.
    """

    interval: Interval
    outcomes: tuple[str, ...]


def loss_of_current(current: Mapping[int, float], pick: Pick) -> Loss:
    """Return today's loss against the picked arm.

    The difference of the two means has the two-way residual variance of all arms and today's setting (an own one where
    a setting is noisier) and the tuning variance of the picked arm, as in `compare_to_best`. The best of k arms looks
    better than it is, which makes today's loss too large: the lower limit therefore holds for all `rivals` at once, by
    Dunnett's one-sided point with the correlations that the variances imply. The upper limit is that of one pair, which
    the picking can only make safer. With one rival the interval is the plain paired one.

    Args:
        current: {seed: validation metric} of today's setting; the seeds it shares with the arms are used.
        pick: what it is compared with.
    """
    seeds = sorted(current.keys() & pick.scores[pick.arm].keys())
    sign = -1.0 if pick.higher_is_better else 1.0
    mean = sign * statistics.fmean(current[seed] - pick.scores[pick.arm][seed] for seed in seeds)
    if len(seeds) < FEWEST_SEEDS:
        return Loss(Interval(mean, None, None), ())
    table = {size: {seed: row[seed] for seed in seeds} for size, row in pick.scores.items()}
    errors = mean_errors(table | {TODAY: {seed: current[seed] for seed in seeds}}, pick.tuning_variances)
    interval = _interval(mean, errors, pick, 0.5 + pick.level / 2)
    one_sided = _interval(mean, errors, pick, pick.level)
    assert interval.low is not None and interval.high is not None
    assert one_sided.low is not None and one_sided.high is not None
    outcomes = {
        "worse": interval.low > 0,
        "better": interval.high < 0,
        "within_margin": max(-one_sided.low, one_sided.high) < pick.margin,
    }
    return Loss(interval, tuple(name for name, holds in outcomes.items() if holds) or ("undecided",))


def _interval(mean: float, errors: MeanErrors, pick: Pick, level: float) -> Interval:
    """Return the loss with its two limits, each of them one-sided at `level`."""
    sizes = errors.fit.batch_sizes
    today, arm = sizes.index(TODAY), sizes.index(pick.arm)
    variance, df = errors.of_difference(today, arm)
    pair = float(stdtrit(df, level))
    everyone = _point_of_all(errors, today, [sizes.index(size) for size in pick.rivals], df, level)
    return Interval(mean, mean - everyone * math.sqrt(variance), mean + pair * math.sqrt(variance))


def _point_of_all(errors: MeanErrors, today: int, rivals: Sequence[int], df: float, level: float) -> float:
    """Return the one-sided point for comparing today's setting with all rivals at once, at most Bonferroni's."""
    low, high = (float(stdtrit(df, 1 - (1 - level) / count)) for count in (1, max(1, len(rivals))))
    variances = errors.of_mean()
    totals = [float(variances[today] + variances[rival]) for rival in rivals]
    loadings = [math.sqrt(float(variances[today]) / total) if total > 0 else 0.0 for total in totals]

    def excess(point: float) -> float:
        return dunnett_probability(point, loadings, df) - level

    if len(rivals) < 2 or excess(low) >= 0:
        return low
    return high if excess(high) <= 0 else float(brentq(excess, low, high, xtol=1e-6))
