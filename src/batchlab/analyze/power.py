"""What seeds can tell apart, in a sentence."""

import math
from dataclasses import dataclass

from batchlab.analyze.findings import MetricInfo
from batchlab.analyze.wording import PERCENT_METRICS, say_unit
from batchlab.numerics.power import detectable_difference
from batchlab.numerics.sample_size import seeds_to_settle_pair

POWER = 0.8
# A difference this close to the margin counts as the margin.
NEARLY = 1.1


@dataclass(frozen=True, slots=True)
class Scatter:
    """What decides how much a comparison can tell.

    `sd` is that of one score with seed effects removed, `shared_variance` the variance of a difference that seeds do
    not reduce, as from choosing learning rates.
    """

    sd: float
    n_sizes: int
    level: float = 0.95
    shared_variance: float = 0.0


def power_sentence(metric: MetricInfo, scatter: Scatter, n_seeds: int, judged_by: str) -> str:
    """Return what so many seeds a batch size can tell apart in 4 studies of 5, and how many it takes for less.

    Less is the margin, or half of it where the seeds can tell the margin already.

    Args:
        metric: what is compared.
        scatter: of its values.
        n_seeds: seeds of each batch size, 2 or more.
        judged_by: where the scatter was seen, as in "the tuning trials".

    >>> error = MetricInfo("error", False, 0.005)
    >>> power_sentence(error, Scatter(0.003, 8), 5, "the tuning trials")
    '5 seeds can tell about 0.63 points of validation error apart (power 80%), judged by the tuning trials; 8 would
    tell 0.5.'
    """
    told, wanted, needed = _told(scatter, n_seeds, metric.margin)
    return _sentence(
        f"{_say(metric, told)}{say_unit(metric.name)} of validation {metric.name}",
        _say(metric, wanted),
        (n_seeds, needed),
        judged_by,
    )


def race_power_sentence(margin: float, scatter: Scatter, n_seeds: int, judged_by: str) -> str:
    """Return the same of a race: its scores are ln(cost to the target), and so is the margin.

    >>> race_power_sentence(math.log1p(0.05), Scatter(0.1, 4), 5, "the scouting trials")
    '5 seeds can tell about 22% of the cost to the target apart (power 80%), judged by the scouting trials; 72 would
    tell 5%.'
    """
    told, wanted, needed = _told(scatter, n_seeds, margin)
    of_the_cost = f"{100 * math.expm1(told):.2g}% of the cost to the target"
    return _sentence(of_the_cost, f"{100 * math.expm1(wanted):.2g}%", (n_seeds, needed), judged_by)


def _told(scatter: Scatter, n_seeds: int, margin: float) -> tuple[float, float, int | None]:
    """Return what the seeds tell, the next smaller difference that is wanted, and the seeds which that takes."""
    told = detectable_difference(scatter.sd, n_seeds, scatter.n_sizes, scatter.level, POWER, scatter.shared_variance)
    wanted = margin if told > NEARLY * margin else margin / 2
    needed = seeds_to_settle_pair(
        wanted,
        2 * scatter.sd**2,
        scatter.shared_variance,
        margin=0.0,
        n_arms=scatter.n_sizes,
        level=scatter.level,
        power=POWER,
    )
    return told, wanted, needed


def _sentence(told: str, wanted: str, seeds: tuple[int, int | None], judged_by: str) -> str:
    n_seeds, needed = seeds
    first = f"{n_seeds} seeds can tell about {told} apart (power {100 * POWER:g}%), judged by {judged_by}"
    if needed is None:
        return f"{first}; no number of seeds would tell {wanted}, more tuning might."
    return f"{first}; {max(needed, n_seeds + 1):,} would tell {wanted}."


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


def _say(metric: MetricInfo, difference: float) -> str:
    return f"{(100 if metric.name in PERCENT_METRICS else 1) * difference:.2g}"
