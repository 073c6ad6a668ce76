"""Which scouting trials a race to a target makes next: a few rounds at every batch size that may still win.

The first round looks at three sizes around the base learning rate. Then each size that is in gets one trial a round, at
the best rate that the surface over all trials so far suggests, to one side of it: further out where it is not well
known, and above all that was tried there as long as the highest rate is the best. Every trial ends at the target, or
at twice what the best known takes.

Two rounds, one to each side, share a seed, and the next two have another: a seed that is lucky at a batch size is so at
all rates that are alike, and would make the side look good that it is on. (`tuning_seeds` plays no part.)
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchlab.analyze.arms import TUNING_SEED_BASE
from batchlab.analyze.race import OCTAVE, Race, race_of
from batchlab.records import StepTime, Stop, StudySpec, TrialResult, TrialSettings, WorkloadInfo
from batchlab.studies.trials import trial_id, trial_settings

Results = Mapping[str, TrialResult]

# A trial cannot win any more when it has taken this many times what the best does; a confirming one gets more.
CAP, CONFIRMING_CAP = 2.0, 4.0
# Trials of each size that is in: so many, and more until their rates are expected to cost 2.5% at most beyond the best.
TRIALS, MOST_TRIALS, WELL_KNOWN = 4, 9, 0.025
# Rounds until a trial has reached the target, and rounds in all.
MOST_OPENING, MOST_ROUNDS = 4, 15
# How far from the suggested rate, in octaves, by round; at least this many of its standard deviations.
WIDTHS, DEVIATIONS, MOST_WIDTH = (0.5, 0.6, 0.5, 0.35, 0.25), 0.8, 1.5
# A rate is bracketed by a worse one at most so many octaves above; else the next lies a step above. Where all trials
# diverged, the next ones lie so much below the lowest.
WIDEST_GAP, STEP_UP, STEP_DOWN = 0.4, 0.5, 3.0
# In ln(rate), of a trial that would be one made before.
BESIDE = 0.03


@dataclass(frozen=True, slots=True)
class Scouting:
    """The scouting trials that are known to be needed, and what those of the complete rounds say."""

    trials: tuple[TrialSettings, ...]
    is_over: bool
    race: Race | None


@dataclass(frozen=True, slots=True)
class _Point:
    """A trial to make: an arm, ln(learning rate), and the examples at which it ends; None is the whole budget."""

    arm: int
    log_rate: float
    most_examples: float | None = None


def scout(spec: StudySpec, info: WorkloadInfo, results: Results, step_times: Sequence[StepTime]) -> Scouting:
    """Return the scouting trials up to the first round that is not complete; a pure function of the results."""
    trials: list[TrialSettings] = []
    counts: Counter[int] = Counter()
    race: Race | None = None
    for number in range(MOST_ROUNDS):
        points = _round(spec, race, trials, counts, number) if number else _first_round(spec)
        if not points:
            return Scouting(tuple(trials), True, race)
        counts.update(point.arm for point in points)
        for point in points:
            trials.append(_settings(spec, info, point, number, trials))
        if any(trial_id(one) not in results for one in trials):
            return Scouting(tuple(trials), False, race)
        race = race_of(spec, info, [results[trial_id(one)] for one in trials], step_times)
    return Scouting(tuple(trials), True, race)


def confirming_settings(
    spec: StudySpec, info: WorkloadInfo, race: Race, arm: int, learning_rate: float, seed: int
) -> TrialSettings:
    """Return one confirming trial of an arm; it ends at the target, or at four times what it is expected to take."""
    expected = math.exp(float(race.surface.log_cost[race.arms.index(arm)]))
    plain = trial_settings(spec, info, arm, learning_rate, seed, "confirm")
    return _ending(plain, spec, info, CONFIRMING_CAP * expected)


def racing_settings(settings: TrialSettings, spec: StudySpec, info: WorkloadInfo) -> TrialSettings:
    """Return a trial that ends at the target."""
    return _ending(settings, spec, info, None)


def _first_round(spec: StudySpec) -> list[_Point]:
    """Return the arm nearest to the base batch size at the base rate, and one to each side a little below its own."""
    arms = spec.batch_sizes
    base = min(range(len(arms)), key=lambda place: abs(math.log(_size(spec, arms[place]) / spec.base_batch_size)))
    places = sorted({max(0, base - 2), base, min(len(arms) - 1, base + 2)})
    return [_Point(arms[place], _ruled(spec, arms[place]) - WIDTHS[0] * OCTAVE * (place != base)) for place in places]


def _round(
    spec: StudySpec, race: Race | None, trials: Sequence[TrialSettings], counts: Counter[int], number: int
) -> list[_Point]:
    if race is None or not race.scouted.costs:
        if number > MOST_OPENING:
            return []
        if race is None:
            rates = [math.log(one.learning_rate) for one in trials]
            return [_Point(arm, min(rates) - STEP_DOWN * OCTAVE) for arm in counts]
        return [_Point(arm, _log_rate(race, arm, number)) for arm in sorted(counts)]
    wanted = [arm for arm in race.arms if arm not in counts] or _unfinished(race, counts)
    caps = _caps(spec, race)
    return [_Point(arm, _log_rate(race, arm, number), CAP * caps[arm]) for arm in wanted]


def _unfinished(race: Race, counts: Counter[int]) -> list[int]:
    """Return the arms that are in, as long as they need more trials."""
    live = list(race.contenders)
    most = max(counts[arm] for arm in live)
    settled = all(
        race.surface.expected_excess(race.arms.index(arm)) < WELL_KNOWN and _rate_above(race, arm) is None
        for arm in live
    )
    return [] if most >= MOST_TRIALS or (most >= TRIALS and settled) else live


def _rate_above(race: Race, arm: int) -> float | None:
    """Return a ln(rate) above the best tried at an arm, None where one little above has been found worse."""
    own = [run for run in race.scouted.runs if run.arm == race.arms.index(arm)]
    done = [run for run in own if run.reached]
    if not done:
        return None
    best = min(done, key=lambda run: run.log_cost).log_rate
    above = min((run.log_rate for run in own if run.log_rate > best), default=math.inf)
    if above - best <= WIDEST_GAP * OCTAVE:
        return None
    return min(best + STEP_UP * OCTAVE, (best + above) / 2)


def _log_rate(race: Race, arm: int, number: int) -> float:
    """Return where to look next at an arm: above the best rate tried until a higher one was worse, then around it.

    To one side of the suggested rate, the sides taking turns.
    """
    index, surface = race.arms.index(arm), race.surface
    center, sd = surface.cautious_log_rate(index), float(surface.log_rate_sd[index])
    width = WIDTHS[min(number, len(WIDTHS) - 1)] * OCTAVE
    up, down = (min(max(least, DEVIATIONS * sd), MOST_WIDTH * OCTAVE) for least in (width / 2, width))
    above = _rate_above(race, arm)
    if above is not None:
        return max(above, center + up)
    return center - down if (index + number) % 2 else center + up


def _caps(spec: StudySpec, race: Race) -> dict[int, float]:
    """Return the examples that the best known would take at each arm, at most.

    Smaller batches need no more examples than larger ones and larger ones no more steps than smaller. Where no arm is
    kept whatever it costs, none may take longer than the best of all.
    """
    costs = {arm: math.exp(cost) for arm, cost in race.scouted.costs.items()}
    caps = {
        arm: min(cost * max(1.0, _size(spec, arm) / _size(spec, other)) for other, cost in costs.items())
        for arm in race.arms
    }
    if race.keeps_all or len(race.objectives) > 1:
        return caps
    factor = {arm: math.exp(offset) for arm, offset in zip(race.arms, race.objectives[0], strict=True)}
    best = min(cost * factor[arm] for arm, cost in costs.items())
    return {arm: min(cap, best / factor[arm]) for arm, cap in caps.items()}


def _settings(
    spec: StudySpec, info: WorkloadInfo, point: _Point, number: int, made: Sequence[TrialSettings]
) -> TrialSettings:
    """Return the trial of round `number` at a point, with a seed that its rate has not had; else a rate beside it.

    The same trial again would say nothing new and count twice.
    """
    tried = set(map(_run_of, made))
    seeds = (TUNING_SEED_BASE + number // 2, TUNING_SEED_BASE + number // 2 + 1)
    log_rate = point.log_rate
    while True:
        rate = float(f"{math.exp(log_rate):.3g}")
        for seed in seeds:
            settings = trial_settings(spec, info, point.arm, rate, seed, "tune")
            if _run_of(settings) not in tried:
                return _ending(settings, spec, info, point.most_examples)
        log_rate += BESIDE


def _run_of(settings: TrialSettings) -> tuple[float, ...]:
    """Return what makes a run, wherever it may end."""
    return settings.batch_size, settings.replica, settings.learning_rate, settings.seed


def _ending(settings: TrialSettings, spec: StudySpec, info: WorkloadInfo, most_examples: float | None) -> TrialSettings:
    """Return the trial with the rule by which it ends; a cap is an evaluation, the last one before it."""
    cap = None
    if most_examples is not None:
        cap = max((one for one in settings.evaluate_at if one <= most_examples), default=settings.evaluate_at[0])
    return dataclasses.replace(settings, stop=Stop(spec.target, info.higher_is_better, cap))


def _ruled(spec: StudySpec, arm: int) -> float:
    """Return ln(base rate) moved to the arm by the square-root rule, the least wrong over optimizers."""
    return math.log(spec.base_lr) + 0.5 * math.log(_size(spec, arm) / spec.base_batch_size)


def _size(spec: StudySpec, arm: int) -> int:
    return spec.same_batch_size or arm
