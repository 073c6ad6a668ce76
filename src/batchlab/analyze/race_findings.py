"""How a race was run: its scouting trials, the learning rates fitted to them, and the sizes left behind."""

import math

from scipy.special import ndtri

from batchlab.analyze.prepared import Prepared
from batchlab.analyze.race import MARGIN, OPTIMISM, Race
from batchlab.analyze.race_answer import left_behind, race_unit
from batchlab.analyze.scouting import examples_to
from batchlab.analyze.target_findings import DroppedSize, FittedRate, RaceFindings, ScoutingRun
from batchlab.records import TrialResult


def race_findings(study: Prepared) -> RaceFindings | None:
    """Return how the race was run, None where the study is none."""
    if not study.is_race:
        return None
    trials, race = study.record.trials, study.race
    return RaceFindings(
        objective=race_unit(study),
        margin=MARGIN,
        n_scouting=sum(one.settings.purpose == "tune" for one in trials),
        n_confirming=sum(one.settings.purpose == "confirm" for one in trials),
        examples=sum(one.examples for one in trials),
        full_examples=sum(one.settings.n_steps * one.settings.batch_size for one in trials),
        dropped=() if race is None else tuple(_dropped(study, race, arm) for arm in left_behind(study)),
        scouting=tuple(
            _run(study, arm, one) for arm, found in study.tuning.items() for one in found if one.curve.examples
        ),
        fitted_rates=() if race is None else _fitted_rates(study, race),
    )


def _dropped(study: Prepared, race: Race, arm: int) -> DroppedSize:
    index = race.arms.index(arm)
    mean, sd = race.shortfall(arm)
    return DroppedSize(
        batch_size=arm,
        learning_rate=float(f"{math.exp(float(race.surface.log_rate[index])):.3g}"),
        n_trials=len(study.tuning[arm]),
        cost_ratio=math.exp(mean),
        cost_ratio_low=math.exp(mean - OPTIMISM * sd),
        in_time=race.is_in_time(arm),
    )


def _run(study: Prepared, arm: int, trial: TrialResult) -> ScoutingRun:
    target = study.record.spec.target
    assert target is not None
    examples = examples_to(target, trial, study.record.info)
    return ScoutingRun(
        batch_size=arm,
        learning_rate=trial.settings.learning_rate,
        seed=trial.settings.seed,
        examples=trial.examples if examples is None else examples,
        reached=examples is not None,
        diverged=trial.status == "diverged",
    )


def _fitted_rates(study: Prepared, race: Race) -> tuple[FittedRate, ...]:
    reach = float(ndtri(0.5 + study.record.spec.level / 2))
    if not race.scouted.costs:
        return ()
    rates = zip(race.arms, race.surface.log_rate.tolist(), race.surface.log_rate_sd.tolist(), strict=True)
    return tuple(
        FittedRate(arm, math.exp(rate), math.exp(rate - reach * sd), math.exp(rate + reach * sd))
        for arm, rate, sd in rates
        if study.tuning[arm]
    )
