"""Worlds without training for the search of a study with a target: the truth is a formula, noise is drawn.

A world answers a trial's settings with the result that the trial would have: its curve at the evaluations asked for,
stopped by its rule. Noise sets the pace of training: a trial needs e^(σ_s n_seed + σ_o n_own) times the steps.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from batchlab.records import Budget, Curve, StepTime, StudySpec, TrialResult, TrialSettings, WorkloadInfo, identity
from batchlab.train.stopping import may_end

Array = NDArray[numpy.float64]
# The validation loss at a batch size and learning rate, after an array of steps without noise of the pace.
Loss = Callable[[float, float, Array], Array]

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
OVERFLOW = 1e30
# The truth is looked for this far beyond the budget.
HORIZON = 8


@dataclass(frozen=True)
class World:
    """A truth and what goes with it; times are in units of the time that an example takes, beside a step's overhead."""

    name: str
    loss: Loss
    target: float
    budget_examples: float
    base_lr: float
    base_batch_size: int
    step_overhead: float
    seed_sd: float
    own_sd: float
    sizes: tuple[int, ...] = SIZES

    @property
    def info(self) -> WorkloadInfo:
        """Return the world as a workload."""
        return WorkloadInfo(
            name=self.name,
            reference=self.name,
            fingerprint="f" * 16,
            n_train=100_000,
            n_valid=100,
            n_test=0,
            n_parameters=1,
            metric="loss",
            higher_is_better=False,
            margin=0.01,
            margin_is_relative=True,
            unit="example",
            optimizer="sgd",
            optimizer_settings=(("lr", self.base_lr),),
            default_batch_size=self.base_batch_size,
            default_epochs=1.0,
            redraws=True,
        )

    def spec(self, **changes: object) -> StudySpec:
        """Return the question: which size reaches the target soonest?"""
        plain: dict[str, object] = {
            "workload": self.name,
            "batch_sizes": self.sizes,
            "budget": Budget("examples", self.budget_examples),
            "lr_mode": "tune",
            "base_lr": self.base_lr,
            "base_batch_size": self.base_batch_size,
            "optimizer": "sgd",
            "optimizer_settings": (),
            "target": self.target,
            "search": "model",
        }
        return StudySpec(**(plain | changes))  # type: ignore[arg-type]

    def step_times(self) -> tuple[StepTime, ...]:
        """Return the step times of all sizes."""
        times = {size: self.step_overhead + size for size in self.sizes}
        return tuple(StepTime(size, value, value, value, 1, 1, "cpu") for size, value in times.items())

    def result(self, settings: TrialSettings) -> TrialResult:
        """Return what the trial would find; its noise follows from its settings, however it may end."""
        size, rate = settings.batch_size, settings.learning_rate
        own = numpy.random.default_rng(int(identity(dataclasses.replace(settings, stop=None)), 16)).normal()
        shared = numpy.random.default_rng([settings.base_seed, settings.seed]).normal()
        pace = math.exp(-self.seed_sd * shared - self.own_sd * own)
        due = {math.ceil(point / size) for point in settings.evaluate_at}
        steps = numpy.array(sorted({0, settings.n_steps, *(step for step in due if step <= settings.n_steps)}))
        loss = self.loss_at(size, rate, steps * pace)
        end = _end(settings, (steps * size).tolist(), loss.tolist())
        kept, values = steps[:end].tolist(), tuple(loss[:end].tolist())
        came_to_its_end = "done" if kept[-1] == settings.n_steps else "stopped"
        return TrialResult(
            settings=settings,
            status=came_to_its_end if math.isfinite(values[-1]) else "diverged",
            curve=Curve(
                examples=tuple(step * size for step in kept),
                steps=tuple(kept),
                learning_rate=(rate,) * end,
                train_loss=(math.nan, *values[1:]),
                valid_loss=values,
                valid_metric=values,
            ),
            examples=kept[-1] * size,
            steps=kept[-1],
            valid_loss=values[-1],
            valid_metric=values[-1],
            baseline_metric=float(loss[0]),
            train_loss=None,
            train_metric=None,
            test_loss=None,
            test_metric=None,
            seconds=0.0,
            host="here",
            versions=(),
            micro_batch_size=size,
        )

    def loss_at(self, size: float, rate: float, steps: Array) -> Array:
        """Return the loss after some steps, NaN where training has diverged by then."""
        with numpy.errstate(over="ignore", invalid="ignore"):
            loss = self.loss(size, rate, steps)
        return numpy.where(loss < OVERFLOW, loss, math.nan)

    def examples_to_target(self, size: float, rate: float) -> float:
        """Return the examples to the target without noise of the pace, inf where it is not reached."""
        steps = numpy.geomspace(1.0, max(2.0, HORIZON * self.budget_examples / size), 180)
        loss = self.loss_at(size, rate, steps)
        there = numpy.flatnonzero(loss <= self.target)
        if not len(there):
            return math.inf
        first = int(there[0])
        if first == 0:
            return size
        before, after = numpy.log(loss[first - 1 : first + 1])
        share = (before - math.log(self.target)) / (before - after)
        return float(size * steps[first - 1] * (steps[first] / steps[first - 1]) ** share)

    def seconds_to_target(self, size: float, rate: float) -> float:
        """Return the time to the target without noise of the pace."""
        return self.examples_to_target(size, rate) / size * (self.step_overhead + size)

    def best_rate(self, size: float) -> float:
        """Return the best learning rate of a size, to a 40th of an octave."""
        best = self.base_lr
        for octaves in (numpy.arange(-8, 8.01, 0.25), numpy.arange(-0.3, 0.31, 0.025)):
            rates = best * 2.0**octaves
            best = float(rates[int(numpy.argmin([self.examples_to_target(size, rate) for rate in rates]))])
        return best


def _end(settings: TrialSettings, examples: list[int], loss: list[float]) -> int:
    """Return how many evaluations the trial has."""
    for index in range(1, len(loss)):
        stops = settings.stop is not None and may_end(settings.stop, examples[index], loss[: index + 1])
        if stops or not math.isfinite(loss[index]):
            return index + 1
    return len(loss)


def quadratic_world(generator: numpy.random.Generator) -> World:
    """Return SGD on a noisy quadratic with a drawn spectrum, gradient noise and target, by its closed form."""
    index = numpy.arange(1, 61)
    curvature = index ** -generator.uniform(0.8, 1.4)
    variance = curvature ** generator.uniform(0.7, 1.5) * 4.0 ** generator.uniform(-1, 2)
    target = float(0.5 * curvature.sum() * generator.uniform(0.004, 0.03))
    return placed("quadratic", quadratic_loss(curvature, variance), target, generator, 2.0 / float(curvature.max()))


def quadratic_loss(curvature: Array, variance: Array) -> Loss:
    """Return the expected loss ½ Σ h E θ² from θ = 1, E θ² = r^{2t} + lr² c/B (1 - r^{2t})/(1 - r²), r = 1 - lr h."""

    def loss(size: float, rate: float, steps: Array) -> Array:
        x = rate * curvature
        log_decay = 2 * numpy.log(numpy.maximum(numpy.abs(1 - x), 1e-12))
        decay = numpy.exp(numpy.minimum(steps[:, None] * log_decay, 300.0))
        gap = numpy.where(numpy.abs(x * (2 - x)) < 1e-12, 1e-12, x * (2 - x))
        kick = rate**2 * variance / size
        return numpy.asarray(0.5 * (curvature * (decay + kick * (1 - decay) / gap)).sum(axis=1))

    return loss


def soft_world(generator: numpy.random.Generator) -> World:
    """Return a world whose response to ln(rate) is a parabola that goes over into straight lines, up to a wall.

    Neither the curve nor the saturation of the best rate is the one that the search fits.
    """
    critical = 2.0 ** generator.uniform(4, 11)
    saturation = critical * 2.0 ** generator.uniform(-2, 2)
    power = generator.uniform(0.4, 1.0)
    curvature, right = generator.uniform(0.5, 3.0), generator.uniform(0.7, 3.0)
    wall = generator.uniform(0.3, 2.0)
    least = 2.0 ** generator.uniform(12, 15)
    top = 10.0 ** generator.uniform(-3, 0)

    def loss(size: float, rate: float, steps: Array) -> Array:
        z = math.log(rate / top) + power * math.log1p(saturation / size)
        slope = 1.0 if z < 0 else right
        knee = slope / curvature
        excess = 0.5 * curvature * z * z if abs(z) < knee else slope * abs(z) - 0.5 * slope * knee
        needed = least * (1 + size / critical) * math.exp(excess)
        value = 0.9 * (1 + 8 * steps * size / needed) ** -1.2
        return numpy.asarray(numpy.where((steps > 0) & (z > wall), math.nan, value))

    return placed("soft", loss, 0.9 * 9**-1.2, generator, top)


def placed(name: str, loss: Loss, target: float, generator: numpy.random.Generator, top_rate: float) -> World:
    """Return the world with a machine, noise of .05 to .2, a base rate an octave off, and 3 to 12 times the need."""
    sd, share = generator.uniform(0.05, 0.2), generator.uniform(0, 1)
    base = int(generator.choice([16, 32, 64, 128]))
    world = World(
        name=name,
        loss=loss,
        target=target,
        budget_examples=1e7,
        base_lr=top_rate / 4,
        base_batch_size=base,
        step_overhead=2.0 ** generator.uniform(3, 11),
        seed_sd=sd * math.sqrt(share),
        own_sd=sd * math.sqrt(1 - share),
    )
    best = world.best_rate(base)
    least = min(world.examples_to_target(size, world.best_rate(size)) for size in (8, base))
    return dataclasses.replace(
        world,
        budget_examples=float(round(least * generator.uniform(3, 12))),
        base_lr=float(f"{best * 2.0 ** generator.normal(0, 1.0):.3g}"),
    )


def drawn_world(seed: int, index: int) -> World:
    """Return world `index` of a seed, quadratic and soft ones in turn."""
    return (quadratic_world, soft_world)[index % 2](numpy.random.default_rng([seed, index]))
