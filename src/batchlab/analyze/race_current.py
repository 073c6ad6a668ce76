"""Today's setting in a race: how much longer it takes to the target than what is recommended."""

import dataclasses
import math

from batchlab.analyze.contest import FEWEST_SEEDS, Outcome
from batchlab.analyze.current_loss import Loss, Pick, loss_of_current
from batchlab.analyze.findings import CurrentRow, Recommended
from batchlab.analyze.prepared import Prepared
from batchlab.analyze.race import MARGIN
from batchlab.analyze.race_answer import judged_contest, race_unit, step_cost_at
from batchlab.analyze.rows import measured_current
from batchlab.analyze.target_runs import log_cost, target_run
from batchlab.analyze.target_sentences import say_target
from batchlab.records import TrialResult

ENDED = ("done", "stopped")


def race_current_row(study: Prepared, outcome: Outcome, recommended: Recommended | None) -> CurrentRow | None:
    """Return the row of today's setting, None where there is none or no trial of it has been made.

    `time_ratio` is its cost to the target over that of the recommended setting; runs that did not get there count as
    if they had where they ended, which can only make today's setting look better.
    """
    found = [one for one in study.current if one.status != "failed"]
    if not found:
        return None
    ended = [one for one in found if one.status in ENDED]
    loss = None
    if recommended is not None and len(ended) == len(found):
        loss = _loss(study, outcome, ended, recommended.batch_size)
    settings = found[0].settings
    is_same = recommended is not None and (settings.batch_size, settings.learning_rate) == (
        recommended.batch_size,
        recommended.learning_rate,
    )
    present = {
        "same": is_same,
        "diverged": len(ended) < len(found),
        "too_few_seeds": len(found) < FEWEST_SEEDS,
        "failed": len(found) < len(study.current),
    }
    flags = tuple(flag for flag, is_present in present.items() if is_present)
    return dataclasses.replace(
        measured_current(study, found, ended, None if recommended is None else recommended.batch_size),
        time_ratio=None if loss is None else math.exp(loss.interval.mean),
        sentence=_sentence(study, found, loss, recommended, is_same=is_same),
        flags=flags if loss is None or is_same else (*flags, *loss.outcomes),
    )


def _loss(study: Prepared, outcome: Outcome, ended: list[TrialResult], against: int) -> Loss | None:
    """Return today's ln(cost) less that of the recommended arm, over the seeds that both have."""
    spec, contest = study.record.spec, judged_contest(study)
    assert spec.target is not None
    size = ended[0].settings.batch_size
    cost = step_cost_at(study, size)
    if cost is None:
        return None
    runs = [target_run(size, one, spec.target, study.metric.higher_is_better) for one in ended]
    current = {run.seed: log_cost(run, cost) for run in runs}
    if not current.keys() & contest.scores[against].keys():
        return None
    rivals = {outcome.best, *outcome.tied, *outcome.undecided, against}
    pick = Pick(
        arm=against,
        rivals=tuple(arm for arm in contest.scores if arm in rivals),
        scores=contest.scores,
        tuning_variances=contest.tuning_variances,
        higher_is_better=False,
        margin=math.log1p(MARGIN),
        level=spec.level,
    )
    return loss_of_current(current, pick)


def _sentence(
    study: Prepared, found: list[TrialResult], loss: Loss | None, recommended: Recommended | None, *, is_same: bool
) -> str:
    spec = study.record.spec
    assert spec.current is not None and spec.target is not None
    today = f"Today's {spec.current.batch_size} at lr {spec.current.learning_rate:g}"
    goal = say_target(study.metric, spec.target)
    n_diverged = sum(one.status not in ENDED for one in found)
    if is_same:
        return f"{today} is the recommended setting."
    if n_diverged:
        return f"{today} diverged in {n_diverged} of {len(found)} seeds."
    if loss is None or recommended is None:
        return f"{today} has nothing to be compared with on the way to {goal}."
    unit = "as long" if race_unit(study) == "seconds" else "as many examples"
    other = f"{recommended.batch_size} at {recommended.learning_rate:g}"
    ratio = f"{math.exp(loss.interval.mean):.2f} times {unit} to {goal} as {other}"
    if loss.interval.low is None or loss.interval.high is None:
        return f"{today} takes {ratio}, on too few seeds to compare."
    limits = f"{math.exp(loss.interval.low):.2f} to {math.exp(loss.interval.high):.2f}"
    open_end = ", which cannot be told from 1 yet" if loss.outcomes == ("undecided",) else ""
    return f"{today} takes {ratio} ({limits}){open_end}."
