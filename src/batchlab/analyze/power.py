"""What seeds can tell apart: before a study compares, from its tuning trials, and afterwards, from its own scatter."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from batchlab.analyze.arms import results_by_arm
from batchlab.analyze.findings import MetricInfo
from batchlab.analyze.learning_rates import ChosenLearningRate, chosen_learning_rates
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.wording import PERCENT_METRICS, say_unit
from batchlab.numerics.power import detectable_difference
from batchlab.numerics.sample_size import seeds_to_settle_pair
from batchlab.numerics.two_way import fit_two_way
from batchlab.records import StudySpec, TrialResult, WorkloadInfo

POWER = 0.8
# Tuning trials within this factor of the chosen learning rate scatter about as confirmed ones will.
NEAR = 2.0 * 1.01
FEWEST_DF = 3
# A difference this close to the margin counts as the margin.
NEARLY = 1.1

Table = Mapping[int, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class Comparing:
    """What decides how much a comparison can tell.

    `sd` is that of one score with seed effects removed, `shared_variance` the variance of a difference that seeds do
    not reduce, as from choosing learning rates.
    """

    metric: MetricInfo
    sd: float
    n_sizes: int
    level: float = 0.95
    shared_variance: float = 0.0


def power_sentence(comparing: Comparing, n_seeds: int, judged_by: str) -> str:
    """Return what so many seeds a batch size can tell apart in 4 studies of 5, and how many it takes for less.

    Less is the margin, or half of it where the seeds can tell the margin already.

    Args:
        comparing: what is compared and how it scatters.
        n_seeds: seeds of each batch size, 2 or more.
        judged_by: where the scatter was seen, as in "the tuning trials".

    >>> error = MetricInfo("error", False, 0.005)
    >>> power_sentence(Comparing(error, 0.003, 8), 5, "the tuning trials")
    '5 seeds can tell about 0.63 points of validation error apart (power 80%), judged by the tuning trials; 8 would
    tell 0.5.'
    """
    metric = comparing.metric
    told = detectable_difference(
        comparing.sd, n_seeds, comparing.n_sizes, comparing.level, POWER, comparing.shared_variance
    )
    wanted = metric.margin if told > NEARLY * metric.margin else metric.margin / 2
    needed = seeds_to_settle_pair(
        wanted,
        2 * comparing.sd**2,
        comparing.shared_variance,
        margin=0.0,
        n_arms=comparing.n_sizes,
        level=comparing.level,
        power=POWER,
    )
    first = (
        f"{n_seeds} seeds can tell about {_say(metric, told)}{say_unit(metric.name)} of validation {metric.name} apart "
        f"(power {100 * POWER:g}%), judged by {judged_by}"
    )
    if needed is None:
        return f"{first}; no number of seeds would tell {_say(metric, wanted)}, more tuning might."
    return f"{first}; {max(needed, n_seeds + 1):,} would tell {_say(metric, wanted)}."


def power_notice(spec: StudySpec, info: WorkloadInfo, trials: Iterable[TrialResult]) -> str | None:
    """Return what the seeds asked for will tell, for before they are run; None while nothing shows the scatter.

    Args:
        spec: the question.
        info: its workload, for the metric and its margin.
        trials: those made so far: of the same study, tuning or confirmed.
    """
    if spec.search == "model":
        return None
    known = tuple(trials)
    rates = chosen_learning_rates(spec, known) if known else {}
    sd = _residual_sd(_near(results_by_arm(spec, known, "tune"), rates))
    if sd is None or spec.seeds < 2 or len(rates) < 2:
        return None
    margin = spec.margin or (info.margin * _best(info, known) if info.margin_is_relative else info.margin)
    shared = 2 * sum(rate.metric_variance for rate in rates.values()) / len(rates)
    comparing = Comparing(MetricInfo(info.metric, info.higher_is_better, margin), sd, len(rates), spec.level, shared)
    return power_sentence(comparing, spec.seeds, "the tuning trials")


def power_before(n_seeds: int, n_sizes: int, level: float) -> str:
    """Return what so many seeds tell apart while nothing shows how much one score scatters.

    >>> power_before(5, 8, 0.95)
    '5 seeds can tell about 2.1 standard deviations of a score apart (power 80%); trials will show how large one is.'
    """
    if n_seeds < 2 or n_sizes < 2:
        return "Nothing can be told apart: that takes 2 batch sizes, and 3 seeds of each for intervals."
    told = detectable_difference(1.0, n_seeds, n_sizes, level, POWER)
    return (
        f"{n_seeds} seeds can tell about {told:.2g} standard deviations of a score apart (power {100 * POWER:g}%); "
        "trials will show how large one is."
    )


def power_notes(study: Prepared) -> list[str]:
    """Return what the study's seeds could tell, from the scatter that they showed; nothing where it cannot be seen."""
    alive = study.alive
    n_seeds = min((len(found) for found in alive.values()), default=0)
    table = {size: {one.settings.seed: one.valid_metric for one in found} for size, found in alive.items()}
    sd = _residual_sd(table)
    if sd is None:
        return []
    shared = 2 * sum(study.rates[size].metric_variance for size in alive) / len(alive)
    comparing = Comparing(study.metric, sd, len(alive), study.record.spec.level, shared)
    return [power_sentence(comparing, n_seeds, "the scatter seen here")]


def _near(
    tuning: Mapping[int, list[TrialResult]], rates: Mapping[int, ChosenLearningRate]
) -> dict[int, dict[int, float]]:
    """Return the metric by seed of every learning rate near the chosen one that has all of the seeds."""
    cells: dict[tuple[int, float], dict[int, float]] = {}
    for arm, rate in rates.items():
        for one in tuning[arm]:
            near = 1 / NEAR <= one.settings.learning_rate / rate.value <= NEAR
            if near and one.status == "done":
                cells.setdefault((arm, one.settings.learning_rate), {})[one.settings.seed] = one.valid_metric
    most = max((len(row) for row in cells.values()), default=0)
    return dict(enumerate(row for row in cells.values() if len(row) == most))


def _residual_sd(table: Table) -> float | None:
    if len(table) < 2 or min(map(len, table.values())) < 2:
        return None
    fit = fit_two_way(dict(table))
    if fit.df < FEWEST_DF or not fit.residual_variance > 0:
        return None
    return math.sqrt(fit.residual_variance)


def _best(info: WorkloadInfo, trials: Iterable[TrialResult]) -> float:
    values = [one.valid_metric for one in trials if one.status == "done" and math.isfinite(one.valid_metric)]
    return abs((max if info.higher_is_better else min)(values, default=1.0))


def _say(metric: MetricInfo, difference: float) -> str:
    return f"{(100 if metric.name in PERCENT_METRICS else 1) * difference:.2g}"
