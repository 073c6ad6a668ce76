"""What the seeds of a study can tell apart: before it compares, by its tuning trials, and after, by its own scatter."""

import math
from collections.abc import Iterable, Mapping, Sequence

from batchlab.analyze.arms import results_by_arm
from batchlab.analyze.contest import Scores
from batchlab.analyze.findings import MetricInfo
from batchlab.analyze.learning_rates import ChosenLearningRate, chosen_learning_rates
from batchlab.analyze.power import Scatter, power_sentence, race_power_sentence
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.race import MARGIN, race_of, race_rates
from batchlab.analyze.race_answer import judged_contest
from batchlab.numerics.two_way import fit_two_way
from batchlab.records import StepTime, StudySpec, TrialResult, WorkloadInfo

# Tuning trials within this factor of the chosen learning rate scatter about as confirmed ones will.
NEAR = 2.0 * 1.01
FEWEST_DF = 3
SEEN_HERE = "the scatter seen here"


def power_notice(
    spec: StudySpec, info: WorkloadInfo, trials: Iterable[TrialResult], step_times: Sequence[StepTime] = ()
) -> str | None:
    """Return what the seeds asked for will tell, for before they are run; None while nothing shows the scatter.

    Args:
        spec: the question.
        info: its workload, for the metric and its margin.
        trials: those made so far: of the same study, tuning or confirmed.
        step_times: quiet ones, by which a race knows its contenders.
    """
    known = tuple(trials)
    if spec.seeds < 2 or not known:
        return None
    if spec.search == "model":
        return _race_notice(spec, info, known, step_times)
    rates = chosen_learning_rates(spec, known)
    sd = _residual_sd(_near(results_by_arm(spec, known, "tune"), rates))
    if sd is None or len(rates) < 2:
        return None
    margin = spec.margin or (info.margin * _best(info, known) if info.margin_is_relative else info.margin)
    metric = MetricInfo(info.metric, info.higher_is_better, margin)
    return power_sentence(metric, _scatter(spec, sd, rates), spec.seeds, "the tuning trials")


def _race_notice(
    spec: StudySpec, info: WorkloadInfo, known: Sequence[TrialResult], step_times: Sequence[StepTime]
) -> str | None:
    race = race_of(spec, info, known, step_times)
    rates = {} if race is None else race_rates(race, spec.level)
    if race is None or len(rates) < 2:
        return None
    scatter = _scatter(spec, race.surface.noise, rates)
    return race_power_sentence(math.log1p(MARGIN), scatter, spec.seeds, "the scouting trials")


def power_notes(study: Prepared) -> list[str]:
    """Return what the study's seeds could tell, from the scatter that they showed; nothing where it cannot be seen."""
    table: Scores
    if study.is_race:
        table = judged_contest(study).scores
    else:
        table = {size: {one.settings.seed: one.valid_metric for one in found} for size, found in study.alive.items()}
    sd = _residual_sd(table)
    if sd is None:
        return []
    n_seeds = min(map(len, table.values()))
    scatter = _scatter(study.record.spec, sd, {size: study.rates[size] for size in table})
    if study.is_race:
        return [race_power_sentence(math.log1p(MARGIN), scatter, n_seeds, SEEN_HERE)]
    return [power_sentence(study.metric, scatter, n_seeds, SEEN_HERE)]


def _scatter(spec: StudySpec, sd: float, rates: Mapping[int, ChosenLearningRate]) -> Scatter:
    shared = 2 * sum(rate.metric_variance for rate in rates.values()) / len(rates)
    return Scatter(sd, len(rates), spec.level, shared)


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


def _residual_sd(table: Scores) -> float | None:
    if len(table) < 2 or min(map(len, table.values())) < 2:
        return None
    fit = fit_two_way(dict(table))
    if fit.df < FEWEST_DF or not fit.residual_variance > 0:
        return None
    return math.sqrt(fit.residual_variance)


def _best(info: WorkloadInfo, trials: Iterable[TrialResult]) -> float:
    values = [one.valid_metric for one in trials if one.status == "done" and math.isfinite(one.valid_metric)]
    return abs((max if info.higher_is_better else min)(values, default=1.0))
