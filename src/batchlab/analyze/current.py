"""What today's setting found, beside what the study recommends."""

import dataclasses
import statistics
from collections.abc import Sequence

from batchlab.analyze.contest import FEWEST_SEEDS, Outcome
from batchlab.analyze.current_loss import Loss, Pick, loss_of_current
from batchlab.analyze.current_sentence import current_sentence
from batchlab.analyze.findings import CurrentRow, Estimate, Recommended
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.rows import measured_current
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
    row = measured_current(study, found, done, against)
    row = dataclasses.replace(
        row,
        loses=None if loss is None else Estimate(loss.interval.mean, loss.interval.low, loss.interval.high),
        time_ratio=_time_ratio(study, row),
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


def _time_ratio(study: Prepared, row: CurrentRow) -> float | None:
    """Return the quiet seconds of today's setting over those of the arm that it is compared with."""
    against = row.against_batch_size
    if against is None or row.seconds is None:
        return None
    other = study.seconds_of({against: study.confirmed[against][0].settings.n_steps})[against]
    return row.seconds / other if other else None


def _flags(study: Prepared, found: Sequence[TrialResult], against: int | None, loss: Loss | None) -> tuple[str, ...]:
    present = {
        "same": against is not None and against == _shared_arm(study),
        "diverged": any(one.status == "diverged" for one in found),
        "too_few_seeds": len(found) < FEWEST_SEEDS,
        "failed": len(found) < len(study.current),
    }
    flags = tuple(flag for flag, is_present in present.items() if is_present)
    return flags if loss is None else (*flags, *loss.outcomes)
