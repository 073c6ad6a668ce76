"""Studies without training: results drawn from a known response, and an executor that hands them out at once."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy

from batchlab.records import (
    Budget,
    Curve,
    StepTime,
    StudySpec,
    TrialResult,
    TrialSettings,
    WorkloadInfo,
    identity,
)
from batchlab.studies.executors import Event

INFO = WorkloadInfo(
    name="simulated",
    reference="simulated",
    fingerprint="f" * 16,
    n_train=1024,
    n_valid=200,
    n_test=200,
    n_parameters=10,
    metric="error",
    higher_is_better=False,
    margin=0.005,
    margin_is_relative=False,
    unit="example",
    optimizer="sgd",
    optimizer_settings=(("lr", 0.1), ("momentum", 0.9)),
    default_batch_size=32,
    default_epochs=4.0,
    redraws=True,
)


def spec(**changes: object) -> StudySpec:
    """Return the spec of a tuned study over 8 to 128."""
    plain: dict[str, object] = {
        "workload": "simulated",
        "batch_sizes": (8, 16, 32, 64, 128),
        "budget": Budget("epochs", 4.0),
        "lr_mode": "tune",
        "base_lr": 0.1,
        "base_batch_size": 32,
        "optimizer": "sgd",
        "optimizer_settings": (("momentum", 0.9),),
    }
    return StudySpec(**(plain | changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class World:
    """A truth to draw results from: error = floor(B) + curvature x octaves^2 from the best rate + noise.

    `waiting` is the share of a trial's seconds that goes into waiting for data.
    """

    floors: dict[int, float]
    best_rate: Callable[[int], float] = lambda batch_size: 0.1 * batch_size / 32
    curvature: float = 0.003
    noise: float = 0.002
    seed_noise: float = 0.002
    diverges_above: float = math.inf
    baseline: float = 0.9
    waiting: float = 0.0

    def result(self, settings: TrialSettings, arm: int | None = None) -> TrialResult:
        """Return the result of one trial; the noise is a function of the settings."""
        octaves = math.log2(settings.learning_rate / self.best_rate(settings.batch_size))
        own = numpy.random.default_rng(int(identity(settings), 16)).normal()
        shared = numpy.random.default_rng([settings.base_seed, settings.seed]).normal()
        error = self.floors[arm or settings.batch_size] + self.curvature * octaves**2
        error += self.noise * own + self.seed_noise * shared
        diverged = settings.learning_rate > self.diverges_above
        curve = [self.baseline + (error - self.baseline) * share for share in (0.0, 0.5, 0.8, 1.0)]
        steps = (0, settings.n_steps // 4, settings.n_steps // 2, settings.n_steps)
        return TrialResult(
            settings=settings,
            status="diverged" if diverged else "done",
            curve=Curve(
                examples=tuple(step * settings.batch_size for step in steps),
                steps=steps,
                learning_rate=(settings.learning_rate,) * 4,
                train_loss=(math.nan, *curve[1:]),
                valid_loss=tuple(curve),
                valid_metric=tuple(curve),
            ),
            examples=settings.n_steps * settings.batch_size,
            steps=settings.n_steps,
            valid_loss=math.nan if diverged else error,
            valid_metric=error,
            baseline_metric=self.baseline,
            train_loss=error,
            train_metric=error,
            test_loss=error,
            test_metric=error + 0.01,
            seconds=0.1,
            host="here",
            versions=(("batchlab", "0"),),
            micro_batch_size=min(settings.batch_size, settings.micro_batch_size or settings.batch_size),
            loading_s=0.1 * self.waiting,
        )


@dataclass(frozen=True)
class TargetWorld:
    """Trials whose examples to error `target` follow least_steps (B + critical), with log-normal scatter `sd`.

    The error is 0.9 (1 + 8u)^-1.2 at a share u of those examples, plus noise; where `levels_off` holds for a batch size
    it never falls below twice the target.
    """

    critical: float = 64.0
    least_steps: float = 30.0
    sd: float = 0.1
    noise: float = 0.0
    levels_off: Callable[[int, int], bool] = lambda batch_size, seed: False

    @property
    def target(self) -> float:
        """Return the error at u = 1."""
        return 0.9 * 9**-1.2

    def result(self, settings: TrialSettings) -> TrialResult:
        """Return the result of one trial, evaluated where its settings say."""
        size, generator = settings.batch_size, numpy.random.default_rng(int(identity(settings), 16))
        needed = self.least_steps * (size + self.critical) * math.exp(self.sd * generator.normal())
        due = {math.ceil(point / size) for point in settings.evaluate_at}
        steps = sorted({0, settings.n_steps, *(step for step in due if step <= settings.n_steps)})
        error = [0.9 * (1 + 8 * step * size / needed) ** -1.2 for step in steps]
        error = [error[0], *(value + self.noise * generator.normal() for value in error[1:])]
        if self.levels_off(size, settings.seed):
            error = [max(value, 2 * self.target) for value in error]
        plain = World({size: error[-1]}).result(settings)
        columns = {"train_loss": (math.nan, *error[1:]), "valid_loss": tuple(error), "valid_metric": tuple(error)}
        curve = Curve(
            examples=tuple(step * size for step in steps),
            steps=tuple(steps),
            learning_rate=(settings.learning_rate,) * len(steps),
            **columns,
        )
        return dataclasses.replace(plain, curve=curve, valid_metric=error[-1], valid_loss=error[-1])


@dataclass
class InstantExecutor:
    """Answers every trial at once with `respond`; keeps what it was asked in `ran`."""

    respond: Callable[[TrialSettings], TrialResult]
    places: int = 2
    ran: list[TrialSettings] = field(default_factory=list)
    queue: list[tuple[str, TrialSettings]] = field(default_factory=list)
    threads: int = 1

    def settle(self, trials: Sequence[TrialSettings], threads: int | None, on_wait: Callable[[], None]) -> int:
        """Return the threads that are wanted."""
        on_wait()
        return threads or self.threads

    def free(self) -> int:
        """Return the free places."""
        return self.places - len(self.queue)

    def submit(self, key: str, settings: TrialSettings) -> None:
        """Queue a trial."""
        assert self.free() > 0
        self.ran.append(settings)
        self.queue.append((key, settings))

    def next_event(self, timeout_s: float) -> Event | None:
        """Return the oldest queued trial's result."""
        del timeout_s
        key, settings = self.queue.pop(0)
        try:
            return Event(key, result=self.respond(settings))
        except RuntimeError as error:
            return Event(key, error=f"Traceback:\n{error}")

    def time_steps(self, settings: Sequence[TrialSettings], on_wait: Callable[[], None]) -> tuple[StepTime, ...]:
        """Return 1 ms a step and 10 microseconds an example."""
        on_wait()
        return tuple(
            StepTime(one.batch_size, 1e-3 + 1e-5 * one.batch_size, 1e-3, 2e-3, 7, 2, "cpu") for one in settings
        )
