"""Which of the settings that were tried is confirmed at a batch size, where several were tuned at once.

Every setting is tried on the first tuning seed; the best third of them is tried again on the others. The lowest mean
validation loss over all tuning seeds is chosen, at each batch size for itself.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy

from batchlab.analyze.arms import TUNING_SEED_BASE
from batchlab.analyze.tuning_box import TunedSetting, settings_of, share_from_center
from batchlab.analyze.wording import say_list
from batchlab.numerics.choice import choice_variance
from batchlab.numerics.two_way import fit_two_way
from batchlab.records import StudySpec, TrialResult

FINAL_SHARE = 1 / 3
# Beyond so much of the way from the middle to the end the best learning rate is at the edge, and beyond so much of it
# the mean of those of the best third: of the few in the outermost tenth none may have all else right. Simulated with 18
# settings, optima at an end or beyond it are noticed in 92% of studies, and none up to half of the way.
EDGE, EDGE_OF_MOST = 0.8, 0.6
# A loss beyond this is that of a trial that diverged, whatever it says itself.
HIGHEST_LOSS = 1e100

# Those of one setting, by tuning seed.
Trials = Mapping[int, TrialResult]


@dataclass(frozen=True, slots=True)
class TunedChoice:
    """The setting chosen at a batch size; `metric_variance` is what the noise of choosing adds to its mean metric."""

    setting: TunedSetting
    at_edge: bool
    metric_variance: float


def n_finalists(spec: StudySpec) -> int:
    """Return how many settings of each batch size are tried again on the other tuning seeds."""
    return math.ceil(FINAL_SHARE * (spec.tuning_trials or 0)) if spec.tuning_seeds > 1 else 0


def n_tuning_trials(spec: StudySpec) -> int:
    """Return the tuning trials of one batch size; fewer where trials of too many settings diverge."""
    return (spec.tuning_trials or 0) + n_finalists(spec) * (spec.tuning_seeds - 1)


def finalists(spec: StudySpec, trials: Iterable[TrialResult]) -> tuple[TunedSetting, ...]:
    """Return the settings that are tried again, the best first; those at which training diverged are none."""
    first = {
        setting: loss_of(found[TUNING_SEED_BASE])
        for setting, found in by_setting(spec, trials).items()
        if TUNING_SEED_BASE in found
    }
    sound = [setting for setting, loss in first.items() if math.isfinite(loss)]
    return tuple(sorted(sound, key=lambda setting: (first[setting], setting.learning_rate))[: n_finalists(spec)])


def choose_setting(spec: StudySpec, arm: int, trials: Sequence[TrialResult]) -> TunedChoice | None:
    """Return the setting to confirm an arm at, None where none could be trained.

    Args:
        spec: the question.
        arm: a batch size of it.
        trials: the tuning trials of the arm.
    """
    tried = by_setting(spec, trials)
    sound = {
        setting: found for setting, found in tried.items() if all(math.isfinite(loss_of(one)) for one in found.values())
    }
    if not sound:
        return None
    most = max(map(len, sound.values()))
    finals = {setting: found for setting, found in sound.items() if len(found) == most}
    means = {setting: statistics.fmean(loss_of(one) for one in found.values()) for setting, found in finals.items()}
    ranked = sorted(means, key=lambda setting: (means[setting], setting.learning_rate))
    places = [share_from_center(spec, arm, setting) for setting in ranked[: math.ceil(FINAL_SHARE * len(tried))]]
    variance = _metric_variance(list(tried.values()), list(finals.values()))
    return TunedChoice(ranked[0], _is_at_edge(places), variance)


def _is_at_edge(places: Sequence[float]) -> bool:
    """Return whether the learning rate is at an end of its axis, by the places of the best settings, the best first."""
    return abs(places[0]) > EDGE or abs(statistics.fmean(places)) > EDGE_OF_MOST


def by_setting(spec: StudySpec, trials: Iterable[TrialResult]) -> dict[TunedSetting, dict[int, TrialResult]]:
    """Return the tuning trials by setting and seed; failed ones are left out."""
    found: dict[TunedSetting, dict[int, TrialResult]] = {}
    for one in trials:
        if one.status != "failed":
            setting = TunedSetting(one.settings.learning_rate, settings_of(spec, one.settings))
            found.setdefault(setting, {})[one.settings.seed] = one
    return found


def loss_of(trial: TrialResult) -> float:
    """Return the validation loss of a trial, infinite where it diverged."""
    sound = trial.status == "done" and abs(trial.valid_loss) < HIGHEST_LOSS and math.isfinite(trial.valid_metric)
    return trial.valid_loss if sound else math.inf


def _metric_variance(tried: Sequence[Trials], finals: Sequence[Trials]) -> float:
    """Return what choosing one of the settings that were tried adds to the variance of the mean metric.

    Scores are mean losses with the effects of the tuning seeds taken out, as seen on the settings that have them all;
    their scatter there is the noise of a trial. With one tuning seed there is none to be seen.
    """
    seeds = sorted(set.intersection(*map(set, finals)))
    table = numpy.array([[loss_of(found[seed]) for seed in seeds] for found in finals])
    effects = dict(zip(seeds, (table.mean(axis=0) - table.mean()).tolist(), strict=True))
    fit = fit_two_way(dict(enumerate(table.tolist())))
    sd = math.sqrt(fit.residual_variance) if fit.df else 0.0
    return choice_variance(
        [statistics.fmean(loss_of(one) - effects.get(seed, 0.0) for seed, one in found.items()) for found in tried],
        [statistics.fmean(one.valid_metric for one in found.values()) for found in tried],
        [sd / math.sqrt(len(found)) for found in tried],
    )


def tuning_words(spec: StudySpec) -> str:
    """Return how several settings are tuned at once, in a sentence."""
    names = say_list(["learning rate", *(name.replace("_", " ") for name in spec.tune)])
    said = f"Tuned at once, at each batch size: {names}, with {spec.tuning_trials} settings picked by {spec.sampler}"
    if n_finalists(spec):
        more = spec.tuning_seeds - 1
        said += f" and the best {n_finalists(spec)} of them again on {more} more seed{'s' if more > 1 else ''}"
    return f"{said}, by validation loss."
