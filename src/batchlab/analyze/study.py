"""From a study's record to its findings."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from batchlab.analyze.budgets import BUDGETS, common_budget, metric_at_step
from batchlab.analyze.caveats import warning_of_current, warnings_of
from batchlab.analyze.contest import Contest, Outcome, decide
from batchlab.analyze.current import current_row
from batchlab.analyze.curves import mean_curve, response_points
from batchlab.analyze.findings import Answer, StudyFindings, StudyLabel, TrialCounts
from batchlab.analyze.learning_rates import fit_exponent
from batchlab.analyze.notes import notes_of
from batchlab.analyze.prepared import Prepared, prepare
from batchlab.analyze.rows import batch_size_row, estimate
from batchlab.analyze.sentences import answer_sentence, confidence_sentence, recommend
from batchlab.records import StudyRecord, TrialResult


def analyze_study(record: StudyRecord) -> StudyFindings:
    """Return what the study found; decisions rest on validation, test values are carried beside.

    A study that is not finished is analyzed as far as it goes, and says so in its warnings.
    """
    study = prepare(record)
    spec, info = record.spec, record.info
    baselines = {one.settings.seed: one.baseline_metric for found in study.alive.values() for one in found}
    answer, outcome = _answer(study, None)
    current = current_row(study, outcome, answer.recommended)
    answer = dataclasses.replace(answer, warnings=(*warning_of_current(current, answer.recommended), *answer.warnings))
    others = {budget: _answer_under(study, budget) for budget in BUDGETS}
    return StudyFindings(
        study=StudyLabel(record.id, record.name),
        workload=info.name,
        device=spec.device,
        versions=dict(next((one.versions for one in study.record.trials if one.versions), ())),
        metric=study.metric,
        level=spec.level,
        budget=spec.budget,
        target=None,
        learning_rate_mode=spec.lr_mode,
        optimizer=spec.optimizer,
        optimizer_settings=spec.optimizer_settings,
        answer=answer,
        under_other_budgets=others,
        baseline_metric=estimate(study, list(baselines.values())),
        batch_sizes=tuple(batch_size_row(study, size, outcome) for size in spec.batch_sizes if study.confirmed[size]),
        learning_rate_exponent=fit_exponent(study.rates, spec.level) if spec.same_batch_size is None else None,
        tradeoff=None,
        learning_rate_response=response_points(study.tuning),
        curves=tuple(mean_curve(size, found, spec.level) for size, found in study.confirmed.items() if found),
        trials=_counts(study.record.trials),
        notes=notes_of(study, others, n_left_out=len(record.trials) - len(study.record.trials)),
        seconds=record.seconds,
        current=current,
    )


def _contest(study: Prepared, value: Callable[[TrialResult, int], float]) -> Contest:
    alive = study.alive
    return Contest(
        asked=study.record.spec.batch_sizes,
        scores={size: {one.settings.seed: value(one, size) for one in found} for size, found in alive.items()},
        baselines={size: {one.settings.seed: one.baseline_metric for one in found} for size, found in alive.items()},
        tuning_variances={size: study.rates[size].metric_variance for size in alive},
        higher_is_better=study.metric.higher_is_better,
        margin=study.metric.margin,
        level=study.record.spec.level,
        at_edge=tuple(size for size, rate in study.rates.items() if rate.at_edge),
        diverged=study.diverged,
    )


def _answer(study: Prepared, at_steps: Mapping[int, float] | None) -> tuple[Answer, Outcome]:
    """Return the answer at the end of the trials, or at the given number of steps of each batch size."""
    if at_steps is None:
        contest = _contest(study, lambda one, _: one.valid_metric)
        steps: Mapping[int, float] = {size: found[0].steps for size, found in study.confirmed.items() if found}
        warnings = warnings_of(study)
    else:
        steps = at_steps
        contest = _contest(study, lambda one, size: metric_at_step(one.curve, steps[size]))
        warnings = ()
    outcome = decide(contest)
    rates = {size: rate.value for size, rate in study.rates.items()}
    recommended = recommend(outcome, rates, study.seconds_of(steps))
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


def _answer_under(study: Prepared, budget: str) -> Answer | None:
    alive = study.alive
    at_steps = common_budget(alive, study.arm_step_times, budget) if alive else None
    return None if at_steps is None else _answer(study, at_steps)[0]


def _counts(trials: Sequence[TrialResult]) -> TrialCounts:
    statuses = [trial.status for trial in trials]
    return TrialCounts(*(statuses.count(status) for status in ("done", "stopped", "diverged", "failed")))
