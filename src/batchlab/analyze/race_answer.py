"""The answer of a race: which batch size reaches the target soonest, and how sure that is."""

import dataclasses
import math

from batchlab.analyze.arms import results_by_arm
from batchlab.analyze.contest import Contest, Outcome, decide
from batchlab.analyze.findings import Answer, Recommended
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.race import MARGIN, OPTIMISM, Race
from batchlab.analyze.race_sentences import Said, race_confidence, race_sentence
from batchlab.analyze.target_findings import DroppedSize, RaceFindings, TargetRun
from batchlab.analyze.target_sentences import say_target
from batchlab.analyze.to_target import Pursuit


def race_answer(study: Prepared, pursuit: Pursuit, warnings: tuple[str, ...]) -> tuple[Answer, Outcome]:
    """Return the answer by the time to the target: its contest is of ln(cost), paired by seed.

    A run that did not get there counts as if it had where it ended, which can only make its size look faster; a size
    most of whose runs did not get there counts as slower. Learning rates add the noise of their choice.
    """
    contest = race_contest(study, pursuit)
    outcome = decide(contest)
    if outcome.best is None:
        outcome = dataclasses.replace(outcome, verdict="no-signal" if _is_over(study, pursuit) else "underpowered")
    spec = study.record.spec
    assert spec.target is not None
    said = Said(say_target(study.metric, spec.target), spec.device, race_unit(study), MARGIN, spec.level)
    recommended = None
    if outcome.best is not None:
        why = f"it reaches {said.goal} {said.soonest}"
        recommended = Recommended(outcome.best, study.rates[outcome.best].value, why)
    answer = Answer(
        verdict=outcome.verdict,
        sentence=race_sentence(outcome, recommended, said),
        confidence=race_confidence(outcome, said),
        best_batch_size=outcome.best,
        tied_batch_sizes=outcome.tied,
        undecided_batch_sizes=outcome.undecided,
        worse_batch_sizes=outcome.worse,
        recommended=recommended,
        warnings=warnings,
    )
    return answer, outcome


def race_findings(study: Prepared) -> RaceFindings | None:
    """Return how the race was run, None where the study is none."""
    if not study.is_race:
        return None
    trials = study.record.trials
    return RaceFindings(
        objective=race_unit(study),
        margin=MARGIN,
        n_scouting=sum(one.settings.purpose == "tune" for one in trials),
        n_confirming=sum(one.settings.purpose == "confirm" for one in trials),
        examples=sum(one.examples for one in trials),
        full_examples=sum(one.settings.n_steps * one.settings.batch_size for one in trials),
        dropped=() if study.race is None else tuple(_dropped(study, study.race, arm) for arm in _out(study)),
    )


def step_cost_at(study: Prepared, batch_size: int) -> float | None:
    """Return what a step costs in the objective of the race, None where its seconds are not known."""
    return study.step_times.get(batch_size) if race_unit(study) == "seconds" else float(batch_size)


def log_cost(run: TargetRun, step_cost: float) -> float:
    """Return ln(cost) of a run, up to its end where it did not reach the target."""
    return math.log((run.steps or max(1.0, run.low)) * step_cost)


def race_contest(study: Prepared, pursuit: Pursuit) -> Contest:
    """Return the contest of the confirmed sizes by ln(cost) to the target."""
    spec = study.record.spec
    costs = {size: step_cost_at(study, spec.same_batch_size or size) for size in pursuit.runs}
    missed = tuple(size for size, reach in pursuit.reaches.items() if "target_not_reached" in reach.flags)
    rows = {
        size: {run.seed: log_cost(run, cost) for run in runs}
        for size, runs in pursuit.runs.items()
        if size not in (*missed, *study.diverged) and (cost := costs[size]) is not None
    }
    common = set.intersection(*map(set, rows.values())) if rows else set()
    return Contest(
        asked=spec.batch_sizes,
        scores={size: {seed: row[seed] for seed in sorted(common)} for size, row in rows.items()},
        baselines={},
        tuning_variances={size: study.rates[size].metric_variance for size in rows},
        higher_is_better=False,
        margin=math.log1p(MARGIN),
        level=spec.level,
        at_edge=tuple(size for size in rows if study.rates[size].at_edge),
        diverged=tuple(sorted({*missed, *study.diverged})),
        dropped=_out(study),
    )


def race_unit(study: Prepared) -> str:
    """Return what the race is judged by: quiet seconds where they are known at every size confirmed, or examples."""
    sizes = [size for size, found in study.confirmed.items() if found]
    return "seconds" if all(size in study.arm_step_times for size in sizes) else "examples"


def _out(study: Prepared) -> tuple[int, ...]:
    """Return the sizes that scouting left behind; none before a trial has reached the target."""
    if study.race is None or not study.race.scouted.costs:
        return ()
    return tuple(size for size in study.record.spec.batch_sizes if size not in study.rates)


def _is_over(study: Prepared, pursuit: Pursuit) -> bool:
    """Return whether the race ended without a batch size that reaches the target."""
    tuning = results_by_arm(study.record.spec, study.record.trials, "tune")
    return bool(pursuit.reaches) or (not study.rates and any(tuning.values()))


def _dropped(study: Prepared, race: Race, arm: int) -> DroppedSize:
    index = race.arms.index(arm)
    mean, sd = race.shortfall(arm)
    return DroppedSize(
        batch_size=arm,
        learning_rate=float(f"{math.exp(float(race.surface.log_rate[index])):.3g}"),
        n_trials=len(study.tuning[arm]),
        cost_ratio=math.exp(mean),
        cost_ratio_low=math.exp(mean - OPTIMISM * sd),
    )
