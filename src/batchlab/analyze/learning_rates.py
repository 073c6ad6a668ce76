"""The learning rate each batch size is confirmed at, from the tuning trials of all of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from batchlab.analyze.arms import results_by_arm
from batchlab.analyze.findings import Exponent
from batchlab.analyze.tuned_choice import choose_setting
from batchlab.analyze.tuning_box import settings_of
from batchlab.numerics.lr_response import LrResponse, fit_lr_response, response_at, smooth_optima, tuning_variance
from batchlab.numerics.rules import scale_learning_rate
from batchlab.records import Settings, StudySpec, TrialResult

MOST_SMOOTHING_OCTAVES = 1.0


@dataclass(frozen=True, slots=True)
class Response:
    """What the tuning trials of one batch size measured: losses and metrics of shape (learning rates, seeds).

    A diverged trial is infinite in the loss and NaN in the metric.
    """

    learning_rates: tuple[float, ...]
    valid_loss: NDArray[numpy.float64]
    valid_metric: NDArray[numpy.float64]


@dataclass(frozen=True, slots=True)
class ChosenLearningRate:
    """The learning rate to confirm at; limits and variances (in squared octaves) are None where it was not tuned.

    `metric_variance` is what the noise of the choice adds to the variance of the arm's mean metric (in a race, of its
    mean ln(cost)); the `own` values
    are those of the arm's own fit, before smoothing. `settings` are what was tuned beside it, by the names of `tune`.
    """

    value: float
    low: float | None = None
    high: float | None = None
    log2_variance: float | None = None
    at_edge: bool = False
    metric_variance: float = 0.0
    own_log2_optimum: float | None = None
    own_log2_variance: float | None = None
    settings: Settings = ()


def response_of(trials: Sequence[TrialResult]) -> Response:
    """Return the tuning trials of one batch size as a table; cells not yet run are NaN."""
    rates = sorted({trial.settings.learning_rate for trial in trials})
    seeds = sorted({trial.settings.seed for trial in trials})
    loss = numpy.full((len(rates), len(seeds)), numpy.nan)
    metric = loss.copy()
    for trial in trials:
        cell = rates.index(trial.settings.learning_rate), seeds.index(trial.settings.seed)
        loss[cell] = trial.valid_loss if trial.status == "done" else numpy.inf
        metric[cell] = trial.valid_metric if trial.status == "done" else numpy.nan
    return Response(tuple(rates), loss, metric)


def chosen_learning_rates(spec: StudySpec, trials: Sequence[TrialResult]) -> dict[int, ChosenLearningRate]:
    """Return the learning rate of every arm: the fixed one, by the rule, or from the tuning trials among `trials`.

    An arm at which nothing could be trained is absent.
    """
    if spec.lr_mode == "fixed":
        return {arm: ChosenLearningRate(spec.base_lr) for arm in spec.batch_sizes}
    if spec.lr_mode != "tune":
        return {
            arm: ChosenLearningRate(
                scale_learning_rate(spec.base_lr, spec.base_batch_size, spec.same_batch_size or arm, spec.lr_mode)
            )
            for arm in spec.batch_sizes
        }
    by_arm = results_by_arm(spec, trials, "tune")
    if spec.tune:
        return _tuned_at_once(spec, by_arm)
    return choose_learning_rates({arm: response_of(found) for arm, found in by_arm.items() if found}, spec.level)


def is_chosen(spec: StudySpec, rate: ChosenLearningRate, trial: TrialResult) -> bool:
    """Return whether a trial was made at the learning rate that was chosen, and at what was tuned beside it."""
    return trial.settings.learning_rate == rate.value and settings_of(spec, trial.settings) == rate.settings


def _tuned_at_once(spec: StudySpec, by_arm: Mapping[int, Sequence[TrialResult]]) -> dict[int, ChosenLearningRate]:
    """Return what was chosen at each arm for itself: settings that were tuned at once are not smoothed."""
    found = {arm: choose_setting(spec, arm, trials) for arm, trials in by_arm.items()}
    return {
        arm: ChosenLearningRate(
            choice.setting.learning_rate,
            at_edge=choice.at_edge,
            metric_variance=choice.metric_variance,
            settings=choice.setting.settings,
        )
        for arm, choice in found.items()
        if choice is not None
    }


def choose_learning_rates(responses: Mapping[int, Response], level: float = 0.95) -> dict[int, ChosenLearningRate]:
    """Return for each batch size the optimum of its fitted response, smoothed across neighboring batch sizes.

    The response is of the validation loss, which is far less noisy than an error rate. Smoothing borrows strength but
    moves no optimum by more than an octave, nor beyond the rates at which no trial diverged.
    """
    fits = {
        size: fit_lr_response(response.learning_rates, response.valid_loss, level=level)
        for size, response in responses.items()
    }
    usable = [size for size, fit in fits.items() if math.isfinite(fit.best)]
    positions = numpy.log2(usable)
    smoothed, variances = smooth_optima(
        positions,
        numpy.log2([fits[size].best for size in usable]),
        numpy.array([fits[size].log2_variance for size in usable]),
    )
    return {
        size: _chosen(responses[size], fits[size], float(x), float(variance), level)
        for size, x, variance in zip(usable, smoothed, variances, strict=True)
    }


def _chosen(
    response: Response, fit: LrResponse, log2_rate: float, log2_variance: float, level: float
) -> ChosenLearningRate:
    own = math.log2(fit.best)
    # Where the neighbors pull an optimum further than noise explains, it is not known better than by that much.
    surprise = max(0.0, (log2_rate - own) ** 2 - fit.log2_variance - log2_variance)
    log2_variance += surprise
    log2_rate = min(max(log2_rate, own - MOST_SMOOTHING_OCTAVES), own + MOST_SMOOTHING_OCTAVES)
    finite = numpy.isfinite(response.valid_loss).all(axis=1)
    tried = numpy.log2(response.learning_rates)
    log2_rate = min(max(log2_rate, tried[finite].min()), tried[finite].max())
    value = float(f"{2.0**log2_rate:.3g}")
    slope_and_curvature = response_at(response.learning_rates, response.valid_metric, value)
    half_width = float(ndtri(0.5 + level / 2)) * math.sqrt(log2_variance)
    return ChosenLearningRate(
        value=value,
        low=value * 2**-half_width,
        high=value * 2**half_width,
        log2_variance=log2_variance,
        at_edge=fit.at_edge,
        metric_variance=tuning_variance(slope_and_curvature.slope, slope_and_curvature.curvature, log2_variance),
        own_log2_optimum=own,
        own_log2_variance=fit.log2_variance,
    )


def fit_exponent(rates: Mapping[int, ChosenLearningRate], level: float = 0.95) -> Exponent | None:
    """Return p of best learning rate ∝ B^p by weighted least squares in logarithms, or None with fewer than 3 sizes.

    Each size enters with the optimum of its own fit, before smoothing, weighted by its variance. The interval is t on
    the scatter around the line, so that a bend in the true curve widens it.
    """
    points = [
        (math.log2(size), rate.own_log2_optimum, rate.own_log2_variance)
        for size, rate in rates.items()
        if rate.own_log2_optimum is not None and rate.own_log2_variance is not None and not rate.at_edge
    ]
    if len(points) < 3:
        return None
    x, y, variance = numpy.array(points).T
    weight = 1 / (variance + variance.mean() + 1e-12)
    x_centered = x - numpy.average(x, weights=weight)
    spread = float((weight * x_centered**2).sum())
    slope = float((weight * x_centered * y).sum()) / spread
    residual = y - numpy.average(y, weights=weight) - slope * x_centered
    scatter = float((weight * residual**2).sum()) / (len(points) - 2)
    half_width = float(stdtrit(len(points) - 2, 0.5 + level / 2)) * math.sqrt(scatter / spread)
    return Exponent(slope, slope - half_width, slope + half_width)
