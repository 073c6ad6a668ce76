"""What today's setting found, beside what the study recommends."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from batchlab.analyze.contest import FEWEST_SEEDS, Outcome
from batchlab.analyze.current_loss import Loss, Pick, loss_of_current
from batchlab.analyze.current_sentence import current_sentence
from batchlab.analyze.findings import CurrentRow, Estimate, Recommended
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.rows import estimate, micro_batch_size_of, optional_estimate
from batchlab.analyze.tuning_box import settings_of
from batchlab.numerics.intervals import Interval
from batchlab.records import TrialResult


def current_row(study: Prepared, outcome: Outcome, recommended: Recommended | None) -> CurrentRow | None:
    """Return the row of today's setting, None where there is none or no trial of it has been made.

    It takes no part in the contest: its learning rate was not tuned, and which sizes tie does not depend on it.
    """
    found = [one for one in study.current if one.status != "failed"]
    if not found:
        return None
    done = [one for one in found if one.status == "done"]
    against = _against(study, recommended)
    loss = _loss(study, outcome, done, against) if against is not None and len(done) == len(found) else None
    row = _measured(study, found, done, against)
    row = dataclasses.replace(
        row,
        loses=None if loss is None else Estimate(loss.interval.mean, loss.interval.low, loss.interval.high),
        flags=_flags(study, found, against, loss),
    )
    sentence = current_sentence(row, study.metric, n_trained=len(found), is_recommended=recommended is not None)
    return dataclasses.replace(row, sentence=sentence)


def _against(study: Prepared, recommended: Recommended | None) -> int | None:
    """Return the arm to compare with: the recommended one, else that of the best mean."""
    if recommended is not None:
        return recommended.batch_size
    means = {size: statistics.fmean(one.valid_metric for one in found) for size, found in study.alive.items() if found}
    pick = max if study.metric.higher_is_better else min
    return pick(means, key=means.__getitem__) if means else None


def _shared_arm(study: Prepared) -> int | None:
    """Return the arm whose trials are those of today's setting, if there is one."""
    spec, current = study.record.spec, study.record.spec.current
    if current is None or spec.same_batch_size is not None or current.batch_size not in study.rates:
        return None
    rate = study.rates[current.batch_size]
    chosen = (rate.value, rate.settings) == (current.learning_rate, settings_of(spec, spec))
    return current.batch_size if chosen else None


def _loss(study: Prepared, outcome: Outcome, done: Sequence[TrialResult], against: int) -> Loss | None:
    shared = _shared_arm(study)
    if shared == against:
        return Loss(Interval(0.0, 0.0, 0.0), ())
    scores = {
        size: {one.settings.seed: one.valid_metric for one in found}
        for size, found in study.alive.items()
        if size != shared
    }
    current = {one.settings.seed: one.valid_metric for one in done}
    if not current.keys() & scores[against].keys():
        return None
    may_be_best = {outcome.best, *outcome.tied, *outcome.undecided, against}
    pick = Pick(
        arm=against,
        rivals=tuple(size for size in scores if size in may_be_best),
        scores=scores,
        tuning_variances={size: study.rates[size].metric_variance for size in scores},
        higher_is_better=study.metric.higher_is_better,
        margin=study.metric.margin,
        level=study.record.spec.level,
    )
    return loss_of_current(current, pick)


def _measured(
    study: Prepared, found: Sequence[TrialResult], done: Sequence[TrialResult], against: int | None
) -> CurrentRow:
    """Return the row with what was measured, still without comparison and sentence."""
    settings = found[0].settings
    step_time_s = study.step_times.get(settings.batch_size)
    seconds = None if step_time_s is None else settings.n_steps * step_time_s
    other = (
        None if against is None else study.seconds_of({against: study.confirmed[against][0].settings.n_steps})[against]
    )
    micro_batch_size = micro_batch_size_of(found)
    return CurrentRow(
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        n_seeds=len(done),
        n_steps=settings.n_steps,
        micro_batch_size=micro_batch_size,
        gradient_accumulation_steps=math.ceil(settings.batch_size / micro_batch_size),
        valid_metric=estimate(study, [one.valid_metric for one in done]),
        test_metric=optional_estimate(study, [one.test_metric for one in done]),
        train_metric=optional_estimate(study, [one.train_metric for one in done]),
        step_time_s=step_time_s,
        seconds=seconds,
        against_batch_size=against,
        against_learning_rate=None if against is None else study.rates[against].value,
        loses=None,
        time_ratio=seconds / other if seconds is not None and other else None,
        sentence="",
        flags=(),
    )


def _flags(study: Prepared, found: Sequence[TrialResult], against: int | None, loss: Loss | None) -> tuple[str, ...]:
    present = {
        "same": against is not None and against == _shared_arm(study),
        "diverged": any(one.status == "diverged" for one in found),
        "too_few_seeds": len(found) < FEWEST_SEEDS,
        "failed": len(found) < len(study.current),
    }
    flags = tuple(flag for flag, is_present in present.items() if is_present)
    return flags if loss is None else (*flags, *loss.outcomes)
