"""A study's record sorted out: which trials count, at which learning rates, and what diverged."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchlab.analyze.arms import arm_of, current_trials, results_by_arm, results_of_current
from batchlab.analyze.findings import MetricInfo
from batchlab.analyze.learning_rates import ChosenLearningRate, chosen_learning_rates, is_chosen
from batchlab.analyze.looks import Course, metric_course
from batchlab.analyze.race import Race, race_of, race_rates
from batchlab.analyze.race_contest import race_course
from batchlab.records import StudyRecord, StudySpec, TrialResult


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record with what every part of the analysis needs of it.

    `confirmed` are the trials of each arm at its chosen learning rate, `current` those of today's setting (failed ones
    among them), `step_times` the quiet seconds a step by batch size, `course` how far seeds were added, `race` what
    scouting says of a race.
    """

    record: StudyRecord
    rates: dict[int, ChosenLearningRate]
    tuning: dict[int, list[TrialResult]]
    confirmed: dict[int, list[TrialResult]]
    current: list[TrialResult]
    diverged: tuple[int, ...]
    step_times: dict[int, float]
    metric: MetricInfo
    course: Course | None = None
    race: Race | None = None

    @property
    def is_race(self) -> bool:
        """Return whether the study is a race to its target, whose trials end there."""
        return self.record.spec.search == "model"

    @property
    def trained(self) -> dict[int, list[TrialResult]]:
        """Return the trials of the sizes at which none diverged, cut to the seeds that all of these have."""
        return _on_common_seeds(
            {size: found for size, found in self.confirmed.items() if found and size not in self.diverged}
        )

    @property
    def alive(self) -> dict[int, list[TrialResult]]:
        """Return those of `trained` that are compared: where seeds are added, the sizes and seeds of the last look."""
        if self.course is None or not self.course.seen:
            return self.trained
        return _on_common_seeds(
            {
                size: [one for one in self.confirmed[size] if one.settings.seed < self.course.seen]
                for size in self.course.compared
                if size not in self.diverged
            }
        )

    @property
    def arm_step_times(self) -> dict[int, float]:
        """Return the quiet seconds a step of each arm for which they are known."""
        same, times = self.record.spec.same_batch_size, self.step_times
        return {size: times[same or size] for size in self.record.spec.batch_sizes if (same or size) in times}

    @property
    def step_joules(self) -> dict[int, float]:
        """Return the joules of a step of each arm for which they were counted."""
        same = self.record.spec.same_batch_size
        known = {one.batch_size: one.joules for one in self.record.step_times if one.joules is not None}
        return {size: known[same or size] for size in self.record.spec.batch_sizes if (same or size) in known}

    def seconds_of(self, steps: Mapping[int, float]) -> dict[int, float | None]:
        """Return the quiet seconds that so many steps of each arm take, None where no step time was measured."""
        times = self.arm_step_times
        return {size: count * times[size] if size in times else None for size, count in steps.items()}


def prepare(record: StudyRecord) -> Prepared:
    """Return the record sorted out; trials of an earlier workload or engine are left out of it."""
    spec, info = record.spec, record.info
    trials = current_trials(record)
    race = race_of(spec, info, trials, record.step_times) if spec.search == "model" else None
    rates = _rates(spec, trials, race)
    tuning = results_by_arm(spec, trials, "tune")
    confirmed = {
        size: sorted(
            (one for one in found if size in rates and is_chosen(spec, rates[size], one)),
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
    values = [
        statistics.fmean(one.valid_metric for one in found)
        for size, found in confirmed.items()
        if found and size not in diverged
    ]
    best = (max if info.higher_is_better else min)(values, default=1.0)
    margin = spec.margin or (info.margin * abs(best) if info.margin_is_relative else info.margin)
    step_times = {one.batch_size: one.median_s for one in record.step_times}
    by_seed = _by_seed(spec, trials, rates)
    return Prepared(
        record=dataclasses.replace(record, trials=trials),
        rates=rates,
        tuning=tuning,
        confirmed=confirmed,
        current=results_of_current(spec, trials),
        diverged=diverged,
        step_times=step_times,
        metric=MetricInfo(info.metric, info.higher_is_better, margin),
        course=(
            metric_course(spec, info, rates, by_seed)
            if spec.search != "model"
            else race_course(spec, info, rates, by_seed, step_times)
        ),
        race=race,
    )


def _rates(spec: StudySpec, trials: Sequence[TrialResult], race: Race | None) -> dict[int, ChosenLearningRate]:
    if spec.search == "model":
        return {} if race is None else race_rates(race, spec.level)
    return chosen_learning_rates(spec, trials)


def _by_seed(
    spec: StudySpec, trials: Sequence[TrialResult], rates: Mapping[int, ChosenLearningRate]
) -> dict[int, dict[int, TrialResult]]:
    """Return the confirmed trials of each arm at its chosen learning rate, failed ones among them."""
    found: dict[int, dict[int, TrialResult]] = {arm: {} for arm in rates}
    for one in trials:
        arm = arm_of(spec, one.settings)
        if arm is not None and arm in rates and one.settings.purpose == "confirm" and is_chosen(spec, rates[arm], one):
            found[arm][one.settings.seed] = one
    return found


def _on_common_seeds(trials: Mapping[int, Sequence[TrialResult]]) -> dict[int, list[TrialResult]]:
    seeds = [{one.settings.seed for one in found} for found in trials.values()]
    common = set.intersection(*seeds) if seeds else set()
    return {size: [one for one in found if one.settings.seed in common] for size, found in trials.items()}


def _untrainable(
    spec: StudySpec,
    tuning: Mapping[int, Sequence[TrialResult]],
    rates: Mapping[int, ChosenLearningRate],
    confirmed: Mapping[int, Sequence[TrialResult]],
) -> tuple[int, ...]:
    """Return the sizes at which every tuning trial diverged, once tuning is over."""
    if spec.search == "model":
        return ()
    is_over = any(confirmed.values()) or (not rates and all(tuning.values()))
    return tuple(size for size in spec.batch_sizes if is_over and tuning[size] and size not in rates)
