"""From a study's record to its findings."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from batchlab.analyze.arms import current_trials, results_by_arm
from batchlab.analyze.budgets import BUDGETS, common_budget, metric_at_step
from batchlab.analyze.caveats import warnings_of
from batchlab.analyze.contest import Contest, Outcome, decide
from batchlab.analyze.curves import mean_curve, response_points
from batchlab.analyze.findings import (
    Answer,
    BatchSizeRow,
    Estimate,
    MetricInfo,
    StudyFindings,
    StudyLabel,
    TrialCounts,
)
from batchlab.analyze.learning_rates import ChosenLearningRate, chosen_learning_rates, fit_exponent
from batchlab.analyze.sentences import answer_sentence, confidence_sentence, recommend
from batchlab.analyze.wording import within_range
from batchlab.numerics.intervals import t_interval
from batchlab.records import StudyRecord, StudySpec, TrialResult

QUIET_SPREAD = 1.3

Confirmed = Mapping[int, Sequence[TrialResult]]


@dataclass(frozen=True, slots=True)
class _Study:
    """A record with what every part of the analysis needs of it."""

    record: StudyRecord
    rates: dict[int, ChosenLearningRate]
    tuning: dict[int, list[TrialResult]]
    confirmed: dict[int, list[TrialResult]]
    diverged: tuple[int, ...]
    step_times: dict[int, float]
    metric: MetricInfo

    @property
    def alive(self) -> dict[int, list[TrialResult]]:
        """Return the trials of the sizes at which none diverged, cut to the seeds that all of these have."""
        alive = {size: found for size, found in self.confirmed.items() if found and size not in self.diverged}
        common = (
            set.intersection(*({one.settings.seed for one in found} for found in alive.values())) if alive else set()
        )
        return {size: [one for one in found if one.settings.seed in common] for size, found in alive.items()}

    def seconds_of(self, steps: Mapping[int, float]) -> dict[int, float | None]:
        """Return the quiet seconds that so many steps take, None where no step time was measured."""
        return {
            size: count * self.step_times[size] if size in self.step_times else None for size, count in steps.items()
        }


def analyze_study(record: StudyRecord) -> StudyFindings:
    """Return what the study found; decisions rest on validation, test values are carried beside.

    A study that is not finished is analyzed as far as it goes, and says so in its warnings.
    """
    study = _prepare(record)
    spec, info = record.spec, record.info
    baselines = {one.settings.seed: one.baseline_metric for found in study.alive.values() for one in found}
    answer, outcome = _answer(study, None)
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
        baseline_metric=_estimate(study, list(baselines.values())),
        batch_sizes=tuple(_row(study, size, outcome) for size in spec.batch_sizes if study.confirmed[size]),
        learning_rate_exponent=fit_exponent(study.rates, spec.level) if spec.same_batch_size is None else None,
        tradeoff=None,
        learning_rate_response=response_points(study.tuning),
        curves=tuple(mean_curve(size, found, spec.level) for size, found in study.confirmed.items() if found),
        trials=_counts(study.record.trials),
        notes=_notes(study, others, n_left_out=len(record.trials) - len(study.record.trials)),
        seconds=record.seconds,
    )


def _prepare(record: StudyRecord) -> _Study:
    spec, info = record.spec, record.info
    trials = current_trials(record)
    rates = chosen_learning_rates(spec, trials)
    tuning = results_by_arm(spec, trials, "tune")
    confirmed = {
        size: sorted(
            (one for one in found if size in rates and one.settings.learning_rate == rates[size].value),
            key=lambda one: one.settings.seed,
        )
        for size, found in results_by_arm(spec, trials, "confirm").items()
    }
    untrainable = _untrainable(spec, tuning, rates, confirmed)
    diverged = tuple(
        size
        for size, found in confirmed.items()
        if size in untrainable or any(one.status == "diverged" for one in found)
    )
    times = {one.batch_size: one.median_s for one in record.step_times}
    step_times = {size: times[at] for size in spec.batch_sizes if (at := spec.same_batch_size or size) in times}
    values = [
        statistics.fmean(one.valid_metric for one in found)
        for size, found in confirmed.items()
        if found and size not in diverged
    ]
    best = (max if info.higher_is_better else min)(values, default=1.0)
    margin = spec.margin or (info.margin * abs(best) if info.margin_is_relative else info.margin)
    metric = MetricInfo(info.metric, info.higher_is_better, margin)
    return _Study(dataclasses.replace(record, trials=trials), rates, tuning, confirmed, diverged, step_times, metric)


def _untrainable(
    spec: StudySpec,
    tuning: Mapping[int, Sequence[TrialResult]],
    rates: Mapping[int, ChosenLearningRate],
    confirmed: Mapping[int, Sequence[TrialResult]],
) -> tuple[int, ...]:
    """Return the sizes at which every tuning trial diverged, once tuning is over."""
    is_over = any(confirmed.values()) or (not rates and all(tuning.values()))
    return tuple(size for size in spec.batch_sizes if is_over and tuning[size] and size not in rates)


def _contest(study: _Study, value: Callable[[TrialResult, int], float]) -> Contest:
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


def _answer(study: _Study, at_steps: Mapping[int, float] | None) -> tuple[Answer, Outcome]:
    """Return the answer at the end of the trials, or at the given number of steps of each batch size."""
    if at_steps is None:
        contest = _contest(study, lambda one, _: one.valid_metric)
        steps: Mapping[int, float] = {size: found[0].steps for size, found in study.confirmed.items() if found}
        warnings = warnings_of(study.record.spec, study.rates, study.confirmed, study.diverged)
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


def _answer_under(study: _Study, budget: str) -> Answer | None:
    alive = study.alive
    at_steps = common_budget(alive, study.step_times, budget) if alive else None
    return None if at_steps is None else _answer(study, at_steps)[0]


def _row(study: _Study, size: int, outcome: Outcome) -> BatchSizeRow:
    found, rate, spec = study.confirmed[size], study.rates[size], study.record.spec
    done = [one for one in found if one.status == "done"]
    steps = found[0].settings.n_steps
    return BatchSizeRow(
        batch_size=size,
        learning_rate=rate.value,
        learning_rate_low=rate.low,
        learning_rate_high=rate.high,
        n_seeds=len(done),
        n_steps=steps,
        micro_batch_size=spec.same_batch_size or size,
        gradient_accumulation_steps=1,
        valid_metric=_estimate(study, [one.valid_metric for one in done], rate.metric_variance),
        test_metric=_optional(study, [one.test_metric for one in done]),
        train_metric=_optional(study, [one.train_metric for one in done]),
        step_time_s=study.step_times.get(size),
        seconds=study.seconds_of({size: steps})[size],
        steps_to_target=None,
        seconds_to_target=None,
        tied=outcome.verdict != "no-signal" and size in (outcome.best, *outcome.tied),
        flags=_flags(study, size, outcome),
    )


def _flags(study: _Study, size: int, outcome: Outcome) -> tuple[str, ...]:
    spec = study.record.spec
    is_best = size == outcome.best and outcome.verdict != "no-signal"
    present = {
        "best": is_best,
        "undecided": size in outcome.undecided,
        "worse": size in outcome.worse and size not in study.diverged,
        "within_margin": size in outcome.worse_within_margin,
        "diverged": size in study.diverged,
        "at_edge": study.rates[size].at_edge,
        "too_few_seeds": len(study.confirmed[size]) < 3,
        "failed": any(
            one.status == "failed" and one.settings.batch_size == (spec.same_batch_size or size)
            for one in study.record.trials
        ),
    }
    return tuple(flag for flag, is_present in present.items() if is_present)


def _estimate(study: _Study, values: Sequence[float], extra_variance: float = 0.0) -> Estimate:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Estimate(math.nan, None, None)
    interval = within_range(
        study.metric.name, t_interval(finite, level=study.record.spec.level, extra_variance=extra_variance)
    )
    return Estimate(interval.mean, interval.low, interval.high)


def _optional(study: _Study, values: Sequence[float | None]) -> Estimate | None:
    known = [value for value in values if value is not None]
    return _estimate(study, known) if known else None


def _counts(trials: Sequence[TrialResult]) -> TrialCounts:
    statuses = [trial.status for trial in trials]
    return TrialCounts(*(statuses.count(status) for status in ("done", "stopped", "diverged", "failed")))


def _notes(study: _Study, others: Mapping[str, Answer | None], *, n_left_out: int) -> tuple[str, ...]:
    info, spec = study.record.info, study.record.spec
    notes = [
        "Equal steps, examples and seconds are read off the same curves: learning rates fit the study's own budget."
    ]
    if spec.lr_mode == "tune":
        notes.append("Learning rates were tuned on validation loss; intervals contain the noise of choosing them.")
    if not info.redraws:
        notes.append(
            f"All seeds share one validation set of {info.n_valid:,} {info.unit}s: intervals are about training again, "
            "not about drawing other validation data."
        )
    if n_left_out:
        notes.append(f"{n_left_out} trials made before the workload changed are kept in the store and left out here.")
    if not study.alive and study.diverged:
        notes.append("No comparison under other budgets: training diverged at every batch size.")
    elif others["seconds"] is None:
        notes.append("No comparison under equal time: step times have not been measured.")
    spread = max((one.high_s / one.low_s for one in study.record.step_times), default=1.0)
    if spread > QUIET_SPREAD:
        notes.append(
            f"Step times varied by up to a factor of {spread:.2g} between quartiles: something else used the machine "
            "while they were measured, and seconds are unsure."
        )
    if not info.n_test:
        notes.append("The workload has no test set.")
    return tuple(notes)
