"""What was found at each batch size, as one row."""

import math
from collections import Counter
from collections.abc import Sequence

from batchlab.analyze.arms import arm_of
from batchlab.analyze.contest import FEWEST_SEEDS, Outcome
from batchlab.analyze.findings import BatchSizeRow, CurrentRow, Estimate
from batchlab.analyze.learning_rates import is_chosen
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.target import NO_TARGET, Reach
from batchlab.analyze.wording import within_range
from batchlab.numerics.intervals import t_interval
from batchlab.records import TrialResult


def batch_size_row(study: Prepared, size: int, outcome: Outcome, reach: Reach = NO_TARGET) -> BatchSizeRow:
    """Return the row of one batch size that has confirmed trials; `reach` says how it reached the target."""
    found, rate = study.confirmed[size], study.rates[size]
    done = [one for one in found if one.status in ("done", "stopped")]
    steps = found[0].settings.n_steps
    micro_batch_size = micro_batch_size_of(found)
    return BatchSizeRow(
        batch_size=size,
        learning_rate=rate.value,
        learning_rate_low=rate.low,
        learning_rate_high=rate.high,
        n_seeds=len(done),
        n_steps=steps,
        micro_batch_size=micro_batch_size,
        gradient_accumulation_steps=math.ceil(found[0].settings.batch_size / micro_batch_size),
        valid_metric=estimate(
            study, [one.valid_metric for one in done], 0.0 if study.is_race else rate.metric_variance
        ),
        test_metric=optional_estimate(study, [one.test_metric for one in done]),
        train_metric=optional_estimate(study, [one.train_metric for one in done]),
        step_time_s=study.arm_step_times.get(size),
        seconds=study.seconds_of({size: steps})[size],
        steps_to_target=reach.steps,
        seconds_to_target=reach.seconds,
        tied=outcome.verdict != "no-signal" and size in (outcome.best, *outcome.tied),
        flags=(*_flags(study, size, outcome), *reach.flags),
        examples_to_target=reach.examples,
        joules_to_target=reach.joules,
        n_reached=reach.n_reached,
        settings=rate.settings,
    )


def measured_current(
    study: Prepared, found: Sequence[TrialResult], ended: Sequence[TrialResult], against: int | None
) -> CurrentRow:
    """Return the row of today's setting with what was measured, still without comparison, sentence and flags.

    Args:
        study: of which it is a part.
        found: its trials.
        ended: those of them that count.
        against: the arm that it is compared with.
    """
    settings = found[0].settings
    step_time_s = study.step_times.get(settings.batch_size)
    micro_batch_size = micro_batch_size_of(found)
    return CurrentRow(
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        n_seeds=len(ended),
        n_steps=settings.n_steps,
        micro_batch_size=micro_batch_size,
        gradient_accumulation_steps=math.ceil(settings.batch_size / micro_batch_size),
        valid_metric=estimate(study, [one.valid_metric for one in ended]),
        test_metric=optional_estimate(study, [one.test_metric for one in ended]),
        train_metric=optional_estimate(study, [one.train_metric for one in ended]),
        step_time_s=step_time_s,
        seconds=None if step_time_s is None else settings.n_steps * step_time_s,
        against_batch_size=against,
        against_learning_rate=None if against is None else study.rates[against].value,
        loses=None,
        time_ratio=None,
        sentence="",
        flags=(),
    )


def micro_batch_size_of(trials: Sequence[TrialResult]) -> int:
    """Return how many examples went through the model at once in most of the trials.

    Where memory ran short some trials may have split their batches and others not. Results that do not say how are of
    a time when no batch was split.
    """
    sizes = Counter(one.micro_batch_size or one.settings.batch_size for one in trials)
    return max(sizes, key=lambda size: (sizes[size], size))


def estimate(study: Prepared, values: Sequence[float], extra_variance: float = 0.0) -> Estimate:
    """Return the mean of a metric over seeds with its interval, NaN where there is no finite value."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Estimate(math.nan, None, None)
    interval = within_range(
        study.metric.name, t_interval(finite, level=study.record.spec.level, extra_variance=extra_variance)
    )
    return Estimate(interval.mean, interval.low, interval.high)


def optional_estimate(study: Prepared, values: Sequence[float | None]) -> Estimate | None:
    """Return the estimate from the values that are known, None where none is."""
    known = [value for value in values if value is not None]
    return estimate(study, known) if known else None


def _flags(study: Prepared, size: int, outcome: Outcome) -> tuple[str, ...]:
    is_best = size == outcome.best and outcome.verdict != "no-signal"
    present = {
        "best": is_best,
        "undecided": size in outcome.undecided,
        "worse": size in outcome.worse and size not in study.diverged,
        "within_margin": size in outcome.worse_within_margin,
        "diverged": size in study.diverged,
        "at_edge": study.rates[size].at_edge,
        "too_few_seeds": len(study.confirmed[size]) < FEWEST_SEEDS,
        "failed": _has_failed(study, size),
    }
    return tuple(flag for flag, is_present in present.items() if is_present)


def _has_failed(study: Prepared, size: int) -> bool:
    """Return whether a trial of this arm failed, one of today's setting aside where it is another."""
    spec = study.record.spec
    return any(
        one.status == "failed" and arm_of(spec, one.settings) == size
        for one in study.record.trials
        if one not in study.current or is_chosen(spec, study.rates[size], one)
    )
