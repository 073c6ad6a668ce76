"""A truth for studies that tune several settings at once: quadratic in the logarithms of what is tuned."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy

from batchlab.records import StudySpec, TrialResult, TrialSettings, identity
from batchlab.studies.plan import Plan, plan
from batchlab.studies.trials import trial_id
from simulated import INFO, World, spec

SIZES = (8, 32, 128)


@dataclass(frozen=True)
class TunedWorld:
    """Loss = 0.1 + curvature (x² + y²) + noise; octaves from the best lr/(1 - momentum) and 1 - momentum.

    The best lr/(1 - momentum) is `rate` at batch size 32, and follows the square root; it diverges above `diverges`.
    """

    rate: float = 1.0
    momentum: float = 0.9
    curvature: float = 0.01
    noise: float = 0.0
    diverges: float = math.inf

    def distance(self, settings: TrialSettings) -> float:
        """Return octaves from the best setting."""
        own = dict(settings.optimizer_settings)["momentum"]
        assert isinstance(own, float)
        x = math.log2(settings.learning_rate / (1 - own) / self.rate / math.sqrt(settings.batch_size / 32))
        return math.hypot(x, math.log2((1 - own) / (1 - self.momentum)))

    def result(self, settings: TrialSettings) -> TrialResult:
        """Return the result of one trial; the noise is a function of the settings."""
        plain = World(dict.fromkeys(SIZES, 0.1), noise=0.0, seed_noise=0.0).result(settings)
        own = dict(settings.optimizer_settings)["momentum"]
        assert isinstance(own, float)
        loss = 0.1 + self.curvature * self.distance(settings) ** 2
        loss += self.noise * numpy.random.default_rng(int(identity(settings), 16)).normal()
        diverged = settings.learning_rate / (1 - own) > self.diverges
        curve = dataclasses.replace(plain.curve, valid_metric=(*plain.curve.valid_metric[:-1], loss))
        return dataclasses.replace(
            plain,
            status="diverged" if diverged else "done",
            curve=curve,
            valid_loss=math.nan if diverged else loss,
            valid_metric=loss,
        )


def question(**changes: object) -> StudySpec:
    """Return a study of three sizes that tunes momentum too."""
    plain: dict[str, object] = {"batch_sizes": SIZES, "tune": ("momentum",), "tuning_trials": 12, "seeds": 3}
    return spec(**(plain | changes))


def follow(
    asked: StudySpec,
    respond: Callable[[TrialSettings], TrialResult],
    take: Callable[[list[TrialSettings]], Iterable[TrialSettings]] = lambda waiting: waiting,
    results: dict[str, TrialResult] | None = None,
) -> tuple[Plan, dict[str, TrialResult]]:
    """Run a plan to its end; `take` says which of the waiting trials end before the next look."""
    known = {} if results is None else dict(results)
    while not (step := plan(asked, INFO, known)).complete:
        waiting = [one for one in step.trials if trial_id(one) not in known]
        known |= {trial_id(one): respond(one) for one in take(waiting)}
    return step, known
