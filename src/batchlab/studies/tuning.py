"""The tuning trials of one batch size where several settings are tuned at once: a pure function of the results.

First the settings to try, on the first tuning seed: quasi-random ones all at once, those of a sampler of Optuna's a few
at a time, as they depend on what was found at the ones before. Then the best third of them on the other tuning seeds.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy

from batchlab.analyze.arms import TUNING_SEED_BASE
from batchlab.analyze.tuned_choice import finalists, loss_of
from batchlab.analyze.tuning_box import Axis, TunedSetting, axes_of, setting_at, tuned_trial
from batchlab.records import StudySpec, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.samplers import Place, Told, ask, quasi_random
from batchlab.studies.trials import trial_id, trial_settings
from batchlab.studies.tuning_options import QUASI_RANDOM

Results = Mapping[str, TrialResult]

# So many settings are asked for at once, and the next when all of these have results: in which order trials end
# then makes no difference.
ASKED_AT_ONCE = 2
# A loss so many times as far above the best as the median is, counts as no worse than that: models of the response
# are not to be about the trials that went astray.
FARTHEST = 5.0
LEARNING_RATE = Axis("learning_rate")


def tuning_trials(spec: StudySpec, info: WorkloadInfo, results: Results, arm: int) -> list[TrialSettings]:
    """Return the tuning trials of one arm that are known to be needed."""
    first = _first_trials(spec, info, results, arm)
    found = [results[trial_id(one)] for one in first if trial_id(one) in results]
    if len(found) < len(first):
        return first
    again = [
        _trial(spec, info, arm, setting, seed)
        for seed in range(1, spec.tuning_seeds)
        for setting in finalists(spec, found)
    ]
    return [*first, *again]


def _first_trials(spec: StudySpec, info: WorkloadInfo, results: Results, arm: int) -> list[TrialSettings]:
    """Return the trials of all settings on the first tuning seed, as far as they are known."""
    axes, n = (LEARNING_RATE, *axes_of(spec)), spec.tuning_trials or 0
    if spec.sampler == QUASI_RANDOM:
        places: Sequence[Place] = quasi_random(len(axes), n, spec.seed)
        return list(dict.fromkeys(_trial_at(spec, info, arm, place) for place in places))
    trials: list[TrialSettings] = []
    found: list[tuple[Place, TrialResult]] = []
    while len(found) < n:
        seed = numpy.random.SeedSequence([spec.seed, arm, len(found)]).generate_state(1)[0]
        places = ask(spec.sampler, axes, told(found), min(ASKED_AT_ONCE, n - len(found)), int(seed))
        asked = [_trial_at(spec, info, arm, place) for place in places]
        trials += asked
        if any(trial_id(one) not in results for one in asked):
            break
        found += [(place, results[trial_id(one)]) for place, one in zip(places, asked, strict=True)]
    return list(dict.fromkeys(trials))


def told(found: Sequence[tuple[Place, TrialResult]]) -> tuple[Told, ...]:
    """Return what a sampler is told of each place: the validation loss, and of a failed trial nothing.

    Where training diverged it is worse than the worst loss, by as much as that one is worse than the best: a place to
    keep away from, not one that nothing is known of.
    """
    losses = [loss_of(one) for _, one in found if math.isfinite(loss_of(one))]
    best, middle = (min(losses), statistics.median(losses)) if losses else (0.0, 0.0)
    worst = max(losses, default=1.0)
    worst = min(worst, best + FARTHEST * (middle - best)) if middle > best else worst
    diverged = worst + (worst - best or 1.0)

    def value(one: TrialResult) -> float | None:
        if one.status == "failed":
            return None
        return min(loss_of(one), worst) if math.isfinite(loss_of(one)) else diverged

    return tuple(Told(place, value(one)) for place, one in found)


def _trial_at(spec: StudySpec, info: WorkloadInfo, arm: int, place: Place) -> TrialSettings:
    return _trial(spec, info, arm, setting_at(spec, arm, place.shares), 0)


def _trial(spec: StudySpec, info: WorkloadInfo, arm: int, setting: TunedSetting, seed: int) -> TrialSettings:
    plain = trial_settings(spec, info, arm, setting.learning_rate, TUNING_SEED_BASE + seed, "tune")
    return tuned_trial(plain, setting.settings)
