"""A trial at work: what it costs, when it counts as hung, and the record of one that failed."""

import platform
from dataclasses import dataclass

from batchlab.records import Curve, TrialResult, TrialSettings

# Evaluations come at examples that double, so that the next sign of life is due after about the time spent so far.
SILENCE_S, SILENCE_RATIO = 1800.0, 10.0
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Limits:
    """The seconds a trial may take, and the minutes in which trials may begin; None is as long as they want."""

    trial_s: float | None = None
    minutes: float | None = None


NO_LIMITS = Limits()


@dataclass(slots=True)
class Running:
    """A trial at work, with times on the monotonic clock: it was sent, began some time later, and was last heard of."""

    settings: TrialSettings
    sent: float
    began: float | None = None
    heard: float | None = None

    def __str__(self) -> str:
        return f"{self.settings.batch_size}@{self.settings.learning_rate:g}"

    def hear(self, now: float) -> None:
        """Take a sign of life; the first one says that the trial begins."""
        self.began, self.heard = self.began or now, now


def work_of(settings: TrialSettings) -> float:
    """Return the relative cost of a trial, at most: every step costs something, and every example in it."""
    most = settings.stop.most_examples if settings.stop else None
    steps = settings.n_steps if most is None else min(settings.n_steps, most / settings.batch_size)
    return steps * (64.0 + settings.batch_size)


def why_hung(trial: Running, now: float, timeout_s: float | None) -> str | None:
    """Return why a trial is to be given up, None as long as it is not.

    With a timeout, because it has run longer; without, because it has been silent for half an hour and for ten times
    as long as it had run before.
    """
    began, heard = trial.began or trial.sent, trial.heard or trial.sent
    if timeout_s is not None and trial.began is not None:
        return f"The trial was ended after {timeout_s:g} s, the timeout" if now - began > timeout_s else None
    silence = now - heard
    if silence <= max(SILENCE_S, SILENCE_RATIO * (heard - began)):
        return None
    return f"The trial was ended after {silence:.0f} s without a sign of life; `--timeout` sets another limit"


def failed_trial(settings: TrialSettings, message: str) -> TrialResult:
    """Return the record of a trial that came to nothing."""
    nothing: tuple[()] = ()
    return TrialResult(
        settings=settings,
        status="failed",
        curve=Curve(nothing, nothing, nothing, nothing, nothing, nothing),
        examples=0,
        steps=0,
        valid_loss=NAN,
        valid_metric=NAN,
        baseline_metric=NAN,
        train_loss=None,
        train_metric=None,
        test_loss=None,
        test_metric=None,
        seconds=0.0,
        host=platform.node(),
        versions=(),
        message=message,
    )
