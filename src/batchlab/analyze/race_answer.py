"""The answer of a race: which batch size reaches the target soonest, and how sure that is."""

import dataclasses

from batchlab.analyze.arms import results_by_arm
from batchlab.analyze.contest import Contest, Outcome, decide
from batchlab.analyze.findings import Answer, Recommended
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.race import MARGIN
from batchlab.analyze.race_contest import race_contest, step_costs
from batchlab.analyze.race_sentences import Said, race_confidence, race_sentence
from batchlab.analyze.target_sentences import say_target
from batchlab.analyze.to_target import Pursuit


def race_answer(study: Prepared, pursuit: Pursuit, warnings: tuple[str, ...]) -> tuple[Answer, Outcome]:
    """Return the answer by the time to the target, see `race_contest`."""
    outcome = decide(judged_contest(study))
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
        confidence=race_confidence(outcome, said, *_slow_and_late(study)),
        best_batch_size=outcome.best,
        tied_batch_sizes=outcome.tied,
        undecided_batch_sizes=outcome.undecided,
        worse_batch_sizes=outcome.worse,
        recommended=recommended,
        warnings=warnings,
    )
    return answer, outcome


def step_cost_at(study: Prepared, batch_size: int) -> float | None:
    """Return what a step costs in the objective of the race, None where its seconds are not known."""
    return study.step_times.get(batch_size) if race_unit(study) == "seconds" else float(batch_size)


def judged_contest(study: Prepared) -> Contest:
    """Return the contest of the confirmed sizes; where seeds are added, that of the last look, at its level."""
    spec, course = study.record.spec, study.course
    confirmed = {size: {one.settings.seed: one for one in found} for size, found in study.confirmed.items() if found}
    looked = course is not None and course.seen > 0
    if course is not None and looked:
        confirmed = {
            size: {seed: one for seed, one in confirmed.get(size, {}).items() if seed < course.seen}
            for size in course.compared
        }
    costs = step_costs(spec, study.rates, study.step_times)
    contest = race_contest(spec, study.record.info, study.rates, confirmed, costs)
    gone = () if course is None else tuple(course.dropped)
    return dataclasses.replace(
        contest,
        diverged=tuple(sorted({*contest.diverged, *(size for size in gone if size in study.diverged)})),
        dropped=(*left_behind(study), *(size for size in gone if size not in study.diverged)),
        level=course.level if course is not None and looked else spec.level,
        interval_level=spec.level,
    )


def race_unit(study: Prepared) -> str:
    """Return what the race is judged by: quiet seconds where they are known at every size confirmed, or examples."""
    return "seconds" if all(size in study.arm_step_times for size in study.rates) else "examples"


def left_behind(study: Prepared) -> tuple[int, ...]:
    """Return the sizes that scouting left behind; none before a trial has reached the target."""
    if study.race is None or not study.race.scouted.costs:
        return ()
    return tuple(size for size in study.record.spec.batch_sizes if size not in study.rates)


def _slow_and_late(study: Prepared) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sizes that scouting left behind: those that cost too much, and those not in time for the budget."""
    out = left_behind(study)
    late = tuple(size for size in out if study.race is not None and not study.race.is_in_time(size))
    return tuple(size for size in out if size not in late), late


def _is_over(study: Prepared, pursuit: Pursuit) -> bool:
    """Return whether the race ended without a batch size that reaches the target."""
    tuning = results_by_arm(study.record.spec, study.record.trials, "tune")
    return bool(pursuit.reaches) or (not study.rates and any(tuning.values()))
