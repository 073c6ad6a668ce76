"""A race of settings: short runs first, longer ones where it pays, until the best batch size and rate are known.

Nothing here trains: runs are things that can be told to go on, so that the same race is held on a workload and, in
tests, on simulated ones.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy

from batchlab.analyze.setting_choice import Outlook, StepCost, challengers, outlook
from batchlab.numerics.loss_levels import LossCurve, loss_curve
from batchlab.numerics.progress_model import Comparison, NoiseHint, ProgressModel, ProgressPrior, fit_progress

# Seed noise of ln(examples), and by how much more a level may mislead per e-fold that it is short of the target.
SEED_SD, DEPTH_SD = 0.10, 0.12
# The loss of a diverged run says only that it is slower, by this much at least.
DIVERGED_LOG_RATIO, DIVERGED_SD = 1.0, 0.3
# Levels are compared where the deepest run was so many e-folds of examples before its end.
DEPTHS = tuple(0.5 * step for step in range(7))
LARGEST_SD = 9.0
# That a setting is not e times as fast goes without saying.
LEAST_BOUND = -1.0
# Draws of the posterior, to decide how a race goes on and what comes of it.
DRAWS, FINAL_DRAWS = 400, 2000


class Racer(Protocol):
    """A training run that can go on."""

    @property
    def batch_size(self) -> int:
        """Return the examples of a step."""
        ...

    @property
    def learning_rate(self) -> float:
        """Return the learning rate."""
        ...

    @property
    def examples(self) -> int:
        """Return how many examples it has trained on."""
        ...

    @property
    def curve(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return the examples at each evaluation and the levels there, validation losses or what else falls.

        One that is not finite ends the run, and so does one that is at the target.
        """
        ...

    def train_to(self, examples: int) -> None:
        """Go on up to so many examples, or until the run is at its end."""
        ...


@dataclass(frozen=True, slots=True)
class RacePlan:
    """What a race may do and what it is about.

    `start_level` is that of the untrained model, and `target` the level that runs are to reach. Without one it is the
    level that the setting `reference` (batch size and learning rate) comes to within the horizon; a better one is there
    sooner, and no run is made longer than that. `costs` are of one step, by batch size: these sizes compete. `horizon`
    and `allowance` are examples, of one run at most and of all runs together. `base` is where learning rates are first
    searched; `rule_exponent` is p in lr ∝ B^p far below the critical batch size.
    """

    costs: Mapping[int, StepCost]
    horizon: int
    allowance: int
    base_batch_size: int
    base_learning_rate: float
    rule_exponent: float
    log_critical: float
    log_critical_sd: float
    start_level: float
    seed: int = 0
    target: float | None = None
    reference: tuple[int, float] | None = None


@dataclass
class Race:
    """A race under way; `evidence` and `hints` come from branches and noise scales, with the examples of their run."""

    start: Callable[[int, float], Racer]
    plan: RacePlan
    is_over: Callable[[], bool] = lambda: False
    racers: list[Racer] = field(default_factory=list)
    evidence: list[tuple[int, Comparison]] = field(default_factory=list)
    hints: list[tuple[int, NoiseHint]] = field(default_factory=list)
    other_examples: int = 0

    @property
    def room(self) -> int:
        """Return how many examples are left."""
        return self.plan.allowance - self.other_examples - sum(racer.examples for racer in self.racers)

    def launch(self, batch_size: int, learning_rate: float, examples: float) -> Racer:
        """Start a run, train it over so many examples, and return it."""
        racer = self.start(batch_size, learning_rate)
        self.racers.append(racer)
        racer.train_to(round(examples))
        return racer

    def place(self, racer: Racer) -> tuple[float, float]:
        """Return what runs are ranked by: those at the target by their examples, the others by how deep they are."""
        arrived = arrival(racer, self.plan.target)
        return (0.0, arrived) if math.isfinite(arrived) else (1.0, end_level(racer))

    def leader(self) -> Racer | None:
        """Return the first at the target, or the deepest, None where all have diverged."""
        return deepest(self.racers, self.plan.target)

    def depth_at(self, examples: float) -> float:
        """Return ln(examples of the leader to the target, or so far, over `examples`), which is 0 beyond that."""
        leader = self.leader()
        if leader is None:
            return 0.0
        end = min(arrival(leader, self.plan.target), leader.examples)
        return max(0.0, math.log(max(1, end) / max(1, examples)))

    def longest(self, model: ProgressModel, batch_size: int, learning_rate: float) -> int:
        """Return the examples after which a setting is as deep as the reference within the horizon, and no more."""
        plan = self.plan
        if plan.target is not None or plan.reference is None or not self._bears(*plan.reference):
            return plan.horizon
        sizes, rates = zip((batch_size, learning_rate), plan.reference, strict=True)
        logs = model.log_examples(sizes, rates)
        return round(plan.horizon * math.exp(min(0.0, float(numpy.median(logs[:, 0] - logs[:, 1])))))

    def _bears(self, batch_size: int, learning_rate: float) -> bool:
        """Return whether a setting was run and did not diverge."""
        own = [one for one in self.racers if (one.batch_size, one.learning_rate) == (batch_size, learning_rate)]
        return any(math.isfinite(end_level(one)) for one in own)

    def model(self, n_draws: int = DRAWS) -> ProgressModel:
        """Return what all runs, branches and noise scales together say."""
        plan = self.plan
        prior = ProgressPrior(
            plan.log_critical, plan.log_critical_sd, plan.base_batch_size, plan.base_learning_rate, plan.rule_exponent
        )
        evidence = [replace(one, depth=self.depth_at(examples)) for examples, one in self.evidence]
        hints = [replace(one, depth=self.depth_at(examples)) for examples, one in self.hints]
        comparisons = [*compare_runs(self.racers, plan.target), *evidence]
        return fit_progress(comparisons, prior, hints=hints, n_draws=n_draws, seed=plan.seed)

    def outlook(self, n_draws: int = DRAWS) -> Outlook:
        """Return what every setting is believed to cost."""
        return outlook(self.model(n_draws), self.plan.costs, seed=self.plan.seed)


def end_level(racer: Racer) -> float:
    """Return the level that a run has come to, infinite where it diverged or has not begun."""
    positions, levels = racer.curve
    if not len(levels) or not math.isfinite(levels[-1]):
        return math.inf
    return loss_curve(positions, levels).level_at(racer.examples).loss


def arrival(racer: Racer, target: float | None) -> float:
    """Return after how many examples a run was at the target, infinite where it was not."""
    if target is None or not math.isfinite(end_level(racer)):
        return math.inf
    return loss_curve(*racer.curve).examples_to(target)


def deepest(racers: Sequence[Racer], target: float | None) -> Racer | None:
    """Return the first run at the target, else the one that came deepest, None where all have diverged."""
    alive = [racer for racer in racers if math.isfinite(end_level(racer))]
    return min(alive, key=lambda racer: (arrival(racer, target), end_level(racer))) if alive else None


def compare_runs(racers: Sequence[Racer], target: float | None = None) -> list[Comparison]:
    """Return every run against the one that came deepest: the examples each took to the levels that one went through.

    Levels lie half an e-fold of the deepest run's examples apart, and end at the target. A level that a run has not
    reached says that it needs more examples than it has had: little of a short run, much of one that has leveled off.
    """
    first = deepest(racers, target)
    if first is None:
        return []
    reference = loss_curve(*first.curve)
    arrived = arrival(first, target)
    end = arrived if math.isfinite(arrived) else reference.level_at(first.examples).examples
    return [one for racer in racers if racer is not first for one in _against(racer, first, reference, end)]


def _against(racer: Racer, first: Racer, reference: LossCurve, end: float) -> list[Comparison]:
    settings = racer.batch_size, racer.learning_rate, first.batch_size, first.learning_rate
    if not math.isfinite(end_level(racer)):
        depth = max(0.0, math.log(end / max(1, racer.examples)))
        return [Comparison(*settings, depth, DIVERGED_LOG_RATIO, DIVERGED_SD, True)]
    own, found = loss_curve(*racer.curve), []
    # A level is no better known than the mean of the evaluations about it.
    noise = math.hypot(own.noise, reference.noise) / 2
    for depth in DEPTHS:
        needed = end * math.exp(-depth)
        if needed < reference.positions[0]:
            break
        taken = own.examples_to(reference.loss_after(needed))
        is_bound = not math.isfinite(taken)
        if taken == own.positions[0] and depth > 0:
            break
        slope = reference.slope_at(needed)
        blur = min(noise / slope, LARGEST_SD) if slope > 0 else LARGEST_SD
        sd = math.hypot(SEED_SD, DEPTH_SD * depth, blur)
        ratio = math.log((racer.examples if is_bound else taken) / needed)
        if not is_bound or ratio > LEAST_BOUND:
            found.append(Comparison(*settings, depth, ratio, sd, is_bound))
    return found


def run_to_the_end(race: Race) -> None:
    """Go on with the leader, or with the challenger known least, until the allowance or the time is used up."""
    while not race.is_over():
        model = race.model()
        step = _next_step(race, model, outlook(model, race.plan.costs, seed=race.plan.seed))
        if step is None:
            return
        racer, setting, to = step
        if racer is None:
            race.launch(*setting, to)
        else:
            racer.train_to(to)


# A run that is gone on with is made so many times as long; a new one begins with this share of the horizon.
GROWTH = 2.0
FIRST_SHARE = 1 / 8
FEWEST_STEPS = 16
# A run stands for a setting up to so many octaves away.
SAME_RATE = 0.51


def _next_step(race: Race, model: ProgressModel, found: Outlook) -> tuple[Racer | None, tuple[int, float], int] | None:
    plan = race.plan
    for size, rate in challengers(found):
        longest = race.longest(model, size, rate)
        near = [
            racer
            for racer in race.racers
            if racer.batch_size == size and abs(math.log2(racer.learning_rate / rate)) <= SAME_RATE
        ]
        if near:
            racer = min(near, key=lambda one: abs(math.log2(one.learning_rate / rate)))
            to = min(round(GROWTH * racer.examples), longest)
            if not _is_over(racer, plan.target) and size <= to - racer.examples <= race.room:
                return racer, (size, rate), to
        else:
            length = round(max(min(plan.horizon * FIRST_SHARE, longest), FEWEST_STEPS * size))
            if length <= race.room:
                return None, (size, rate), length
    return None


def _is_over(racer: Racer, target: float | None) -> bool:
    return not math.isfinite(end_level(racer)) or math.isfinite(arrival(racer, target))
