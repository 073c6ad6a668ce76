"""From a study's record to its findings."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from batchlab.analyze.budgets import BUDGETS, common_budget, metric_at_step
from batchlab.analyze.caveats import warning_of_current, warnings_of
from batchlab.analyze.contest import Contest, Outcome, decide
from batchlab.analyze.controls import control_findings, control_warnings
from batchlab.analyze.current import current_row
from batchlab.analyze.curves import expected_best, mean_curve, response_points
from batchlab.analyze.findings import Answer, CurrentRow, Exponent, StudyFindings, StudyLabel, TrialCounts
from batchlab.analyze.learning_rates import fit_exponent
from batchlab.analyze.notes import notes_of
from batchlab.analyze.prepared import Prepared, prepare
from batchlab.analyze.race import race_exponent
from batchlab.analyze.race_answer import race_answer
from batchlab.analyze.race_current import race_current_row
from batchlab.analyze.race_findings import race_findings
from batchlab.analyze.rows import batch_size_row, estimate
from batchlab.analyze.sentences import answer_sentence, confidence_sentence, recommend
from batchlab.analyze.target import NO_TARGET
from batchlab.analyze.to_target import Pursuit, pursuit_of, target_notes
from batchlab.records import StudyRecord, TrialResult

Trials = Mapping[int, Sequence[TrialResult]]


def analyze_study(record: StudyRecord) -> StudyFindings:
    """Return what the study found; decisions rest on validation, test values are carried beside.

    A study that is not finished is analyzed as far as it goes, and says so in its warnings.
    """
    study = prepare(record)
    spec, info = record.spec, record.info
    baselines = {one.settings.seed: one.baseline_metric for found in study.trained.values() for one in found}
    baseline = estimate(study, list(baselines.values()))
    pursuit = pursuit_of(study)
    answer, outcome, current = _judged(study, pursuit)
    response = () if study.is_race or spec.tune else response_points(study.tuning)
    controls = control_findings(study, lambda own: _answer(own)[1])
    warnings = (*control_warnings(controls), *warning_of_current(current, answer.recommended), *answer.warnings)
    answer = dataclasses.replace(answer, warnings=warnings)
    others = {budget: None if study.is_race else _answer_under(study, budget) for budget in BUDGETS}
    notes = notes_of(study, others, n_left_out=len(record.trials) - len(study.record.trials))
    return StudyFindings(
        study=StudyLabel(record.id, record.name),
        workload=info.name,
        device=spec.device,
        versions=dict(next((one.versions for one in study.record.trials if one.versions), ())),
        metric=study.metric,
        level=spec.level,
        budget=spec.budget,
        target=spec.target,
        learning_rate_mode=spec.lr_mode,
        optimizer=spec.optimizer,
        optimizer_settings=spec.optimizer_settings,
        answer=answer,
        under_other_budgets=others,
        baseline_metric=baseline,
        batch_sizes=tuple(
            batch_size_row(study, size, outcome, pursuit.reaches.get(size, NO_TARGET))
            for size in spec.batch_sizes
            if study.confirmed[size]
        ),
        learning_rate_exponent=_exponent(study),
        tradeoff=pursuit.tradeoff,
        learning_rate_response=response,
        curves=tuple(mean_curve(size, found, spec.level) for size, found in study.confirmed.items() if found),
        trials=_counts(study.record.trials),
        notes=(*notes, *target_notes(study, pursuit)),
        seconds=record.seconds,
        current=current,
        to_target=pursuit.findings,
        controls=controls,
        expected_best=expected_best(response, baseline.mean, higher_is_better=study.metric.higher_is_better),
        race=race_findings(study),
    )


def _judged(study: Prepared, pursuit: Pursuit) -> tuple[Answer, Outcome, CurrentRow | None]:
    """Return the answer, and today's setting beside it: in a race by the time to the target, else by the metric."""
    if study.is_race:
        answer, outcome = race_answer(study, pursuit, warnings_of(study))
        return answer, outcome, race_current_row(study, outcome, answer.recommended)
    answer, outcome = _answer(study)
    return answer, outcome, current_row(study, outcome, answer.recommended)


def _exponent(study: Prepared) -> Exponent | None:
    spec = study.record.spec
    if spec.same_batch_size is not None:
        return None
    if not study.is_race:
        return fit_exponent(study.rates, spec.level)
    return race_exponent(study.race, spec.level) if study.race is not None and len(spec.batch_sizes) > 2 else None


def _contest(study: Prepared, trials: Trials, value: Callable[[TrialResult, int], float]) -> Contest:
    return Contest(
        asked=study.record.spec.batch_sizes,
        scores={size: {one.settings.seed: value(one, size) for one in found} for size, found in trials.items()},
        baselines={size: {one.settings.seed: one.baseline_metric for one in found} for size, found in trials.items()},
        tuning_variances={size: study.rates[size].metric_variance for size in trials},
        higher_is_better=study.metric.higher_is_better,
        margin=study.metric.margin,
        level=study.record.spec.level,
        at_edge=tuple(size for size, rate in study.rates.items() if rate.at_edge),
        diverged=study.diverged,
    )


def _answer(study: Prepared) -> tuple[Answer, Outcome]:
    """Return the answer at the end of the trials, where seeds were added at the level of the last look."""
    contest, course = _contest(study, study.alive, lambda one, _: one.valid_metric), study.course
    if course is not None:
        dropped = tuple(size for size in course.dropped if size not in study.diverged)
        contest = dataclasses.replace(
            contest, level=course.level, dropped=dropped, interval_level=study.record.spec.level
        )
    steps = {size: float(found[0].settings.n_steps) for size, found in study.confirmed.items() if found}
    return _said(study, contest, steps, warnings_of(study))


def _answer_under(study: Prepared, budget: str) -> Answer | None:
    """Return the answer at the number of steps of each batch size that the budget allows, on the seeds that all have.

    Seeds that were added for the study's own budget only are left out.
    """
    trained = study.trained
    steps = common_budget(trained, study.arm_step_times, budget) if trained else None
    if steps is None:
        return None
    contest = _contest(study, trained, lambda one, size: metric_at_step(one.curve, steps[size]))
    return _said(study, contest, steps, ())[0]


def _said(
    study: Prepared, contest: Contest, steps: Mapping[int, float], warnings: tuple[str, ...]
) -> tuple[Answer, Outcome]:
    outcome = decide(contest)
    rates = {size: rate.value for size, rate in study.rates.items()}
    recommended = recommend(outcome, rates, study.seconds_of(steps))
    if recommended is not None:
        recommended = dataclasses.replace(recommended, settings=study.rates[recommended.batch_size].settings)
    answer = Answer(
        verdict=outcome.verdict,
        sentence=answer_sentence(outcome, recommended, study.metric),
        confidence=confidence_sentence(outcome, study.metric, study.record.spec.level),
        best_batch_size=None if outcome.verdict == "no-signal" else outcome.best,
        tied_batch_sizes=outcome.tied,
        undecided_batch_sizes=outcome.undecided,
        worse_batch_sizes=outcome.worse,
        recommended=recommended,
        warnings=warnings,
    )
    return answer, outcome


def _counts(trials: Sequence[TrialResult]) -> TrialCounts:
    statuses = [trial.status for trial in trials]
    return TrialCounts(*(statuses.count(status) for status in ("done", "stopped", "diverged", "failed")))
