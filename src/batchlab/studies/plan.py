"""What a study does next: a pure function of its question and of the results so far."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchlab.analyze.arms import TUNING_SEED_BASE
from batchlab.analyze.learning_rates import chosen_learning_rates, response_of
from batchlab.analyze.looks import Confirmed, Course, metric_course
from batchlab.analyze.race import race_rates
from batchlab.analyze.race_contest import race_course
from batchlab.analyze.tuned_choice import n_tuning_trials
from batchlab.analyze.tuning_box import tuned_trial
from batchlab.records import Current, StepTime, StudySpec, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.scout import confirming_settings, racing_settings, scout
from batchlab.studies.search import learning_rate_at, octaves_wanted
from batchlab.studies.trials import trial_id, trial_settings
from batchlab.studies.tuning import tuning_trials

Results = Mapping[str, TrialResult]

# What a race is guessed to need: scouting trials a size, and sizes that are confirmed.
EXPECTED_SCOUTING, EXPECTED_CONTENDERS = 2, 3


@dataclass(frozen=True, slots=True)
class Plan:
    """All trials that are known to be needed, done ones included.

    `stage` is tuning, confirming, controls or complete. `n_expected` guesses how many trials the whole study will have
    made.
    """

    stage: str
    trials: tuple[TrialSettings, ...]
    n_expected: int

    @property
    def complete(self) -> bool:
        """Return whether every trial has a result."""
        return self.stage == "complete"


def plan(spec: StudySpec, info: WorkloadInfo, results: Results, step_times: Sequence[StepTime] = ()) -> Plan:
    """Return what the study needs, given what it has: first tuning at every batch size, then confirmation.

    Where several settings are tuned at once (`tune`) the search is that of `studies.tuning`. A race to a target
    (`search` model) scouts instead of tuning (`studies.scout`), and confirms the sizes that are
    still in; it needs the quiet step times from the start.

    Confirmation waits for every batch size, because the optimum of each is smoothed with its neighbors'; its seeds are
    the same at every batch size and none of them was used for tuning; with `max_seeds`, more of them come where the
    answer is open (`analyze.looks`). Today's setting, if there is one, trains with
    these seeds too; where it coincides with an arm the trials are the same ones.
    """
    if spec.search == "model":
        return _race(spec, info, results, step_times)
    tuning: list[TrialSettings] = []
    current = _current_trials(spec, info)
    n_confirming = len(spec.batch_sizes) * spec.seeds + len(current)
    if spec.lr_mode == "tune":
        search = tuning_trials if spec.tune else _search
        searches = [search(spec, info, results, arm) for arm in spec.batch_sizes]
        tuning = [settings for found in searches for settings in found]
        if any(trial_id(settings) not in results for settings in tuning):
            n_expected = max(len(tuning), n_tuning_trials(spec) * len(spec.batch_sizes))
            return Plan("tuning", tuple(tuning), n_expected + n_confirming)
    rates = chosen_learning_rates(spec, [results[trial_id(settings)] for settings in tuning])

    def settings_of(arm: int, n_seeds: int) -> list[TrialSettings]:
        plain = [trial_settings(spec, info, arm, rates[arm].value, seed, "confirm") for seed in range(n_seeds)]
        return [tuned_trial(one, rates[arm].settings) for one in plain]

    arms = _confirming(spec, rates, results, settings_of, lambda known: metric_course(spec, info, rates, known))
    confirming = tuple(dict.fromkeys((*arms, *current)))
    complete = all(trial_id(settings) in results for settings in confirming)
    return Plan("complete" if complete else "confirming", (*tuning, *confirming), len(tuning) + len(confirming))


def _race(spec: StudySpec, info: WorkloadInfo, results: Results, step_times: Sequence[StepTime]) -> Plan:
    scouting = scout(spec, info, results, step_times)
    current = [racing_settings(one, spec, info) for one in _current_trials(spec, info)]
    if not scouting.is_over:
        n_expected = max(len(scouting.trials), EXPECTED_SCOUTING * len(spec.batch_sizes))
        return Plan("tuning", scouting.trials, n_expected + EXPECTED_CONTENDERS * spec.seeds + len(current))
    race, arms = scouting.race, list[TrialSettings]()
    if race is not None:
        rates, times = race_rates(race, spec.level), {one.batch_size: one.median_s for one in step_times}

        def settings_of(arm: int, n_seeds: int) -> list[TrialSettings]:
            rate = rates[arm].value
            return [confirming_settings(spec, info, race, arm, rate, seed) for seed in range(n_seeds)]

        arms = _confirming(
            spec, rates, results, settings_of, lambda known: race_course(spec, info, rates, known, times)
        )
    confirming = tuple(dict.fromkeys((*arms, *current)))
    complete = all(trial_id(settings) in results for settings in confirming)
    trials = (*scouting.trials, *confirming)
    return Plan("complete" if complete else "confirming", trials, len(trials))


def _confirming(
    spec: StudySpec,
    arms: Iterable[int],
    results: Results,
    settings_of: Callable[[int, int], list[TrialSettings]],
    course_of: Callable[[Confirmed], Course | None],
) -> list[TrialSettings]:
    """Return the confirming trials of all arms; where seeds are added, those that the looks so far ask for.

    Args:
        spec: the question.
        arms: those that are confirmed.
        results: all there are.
        settings_of: from an arm and a number of seeds to its trials.
        course_of: from the trials known of each arm, by seed, to how far the confirmation has come.
    """
    known = {
        arm: {
            one.seed: results[trial_id(one)]
            for one in settings_of(arm, spec.max_seeds or 0)
            if trial_id(one) in results
        }
        for arm in arms
    }
    course = course_of(known)
    n_seeds = dict.fromkeys(known, spec.seeds) if course is None else course.n_seeds
    return [settings for arm in known for settings in settings_of(arm, n_seeds[arm])]


def timed_settings(spec: StudySpec, info: WorkloadInfo) -> tuple[TrialSettings, ...]:
    """Return what the quiet pass times, one entry a batch size: every arm's, and today's if it is none of these.

    With a target joules are counted too, where something counts them.
    """
    purpose = "time" if spec.target is None else "energy"
    arms = spec.batch_sizes if spec.same_batch_size is None else spec.batch_sizes[:1]
    timed = {one.batch_size: one for arm in arms for one in [trial_settings(spec, info, arm, spec.base_lr, 0, purpose)]}
    if spec.current is not None:
        timed.setdefault(spec.current.batch_size, _current_settings(spec, info, spec.current, 0, purpose))
    return tuple(timed.values())


def _current_trials(spec: StudySpec, info: WorkloadInfo) -> list[TrialSettings]:
    current = spec.current
    if current is None:
        return []
    return [_current_settings(spec, info, current, seed, "confirm") for seed in range(spec.seeds)]


def _current_settings(spec: StudySpec, info: WorkloadInfo, current: Current, seed: int, purpose: str) -> TrialSettings:
    """Return one trial of today's setting; in an A/A control too it trains at its own batch size, as no arm does."""
    plain = dataclasses.replace(spec, same_batch_size=None)
    return trial_settings(plain, info, current.batch_size, current.learning_rate, seed, purpose)


def _search(spec: StudySpec, info: WorkloadInfo, results: Results, arm: int) -> list[TrialSettings]:
    """Return the tuning trials of one arm: the grid is only widened when every trial of the grid so far is known."""
    center = spec.same_batch_size or arm
    wanted = octaves_wanted(spec, center, None)
    while True:
        settings = [
            trial_settings(spec, info, arm, learning_rate_at(spec, octave), TUNING_SEED_BASE + seed, "tune")
            for octave in sorted(wanted)
            for seed in range(spec.tuning_seeds)
        ]
        found = [results[trial_id(one)] for one in settings if trial_id(one) in results]
        if len(found) < len(settings):
            return settings
        wider = wanted | octaves_wanted(spec, center, response_of([one for one in found if one.status != "failed"]))
        if wider == wanted:
            return settings
        wanted = wider
