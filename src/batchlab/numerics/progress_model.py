"""How many examples a batch size and a learning rate need, relative to another setting: a model and its posterior.

Of a quadratic, one step with learning rate η at batch size B gains η|G|² - ½ η² (G'HG + tr(HΣ)/B). The best rate is
η*(B) = η_max/(1 + B_crit/B), the gain at u = η/η* is 2u - u² of the best one, and the examples to a level are

    E(B, η) = E_min (1 + B/B_crit) / (2u - u²)                    (McCandlish et al. 2018; section 3 of the trade-off)

Whole runs are not one step, so the parts that theory leaves open are parameters with priors: η*(B) bends with an
exponent p (1 for SGD, ½ for Adam), too low a rate costs κ_c times and too high a rate κ_h x² (x in octaves) instead of
what the parabola says, there is a wall, one rate for all batch sizes, beyond which training diverges, and both η* and
B_crit move as training goes on: early in a run hotter rates and smaller batches look better than they are for the rest
of it. Depth D = ln(E(target)/E(level)) says how early; then

    log2 η*  = x0 + δ D + p log2[(B/B0)(B_crit + B0)/(B_crit + B)],     ln B_crit(D) = c - γ D.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr

from batchlab.numerics.tempering import draw_posterior

Array = NDArray[numpy.float64]

LOG_CRITICAL, OPTIMUM, WALL, EXPONENT, COOL, HOT, DRIFT, GROWTH = range(8)
EXPONENT_SD = 0.15
# The wall lies somewhere above the first guess of a rate: all that is known of it comes from runs.
WALL_OCTAVES, WALL_SD = 4.0, 3.0
# Beyond the wall ln(examples) rises by so much per octave, and bends within so much of one.
WALL_STEEPNESS, WALL_BEND = 12.0, 0.1
# Of ln κ_c, ln κ_h, δ and γ.
COOL_PRIOR, HOT_PRIOR, DRIFT_PRIOR, GROWTH_PRIOR = (0.0, 0.25), (math.log(0.5), 0.6), (0.4, 0.4), (0.35, 0.25)
# Student's t with so many degrees of freedom: one strange run does not decide.
DEGREES_OF_FREEDOM = 4


@dataclass(frozen=True, slots=True)
class Comparison:
    """One setting against another: ln of the ratio of the examples each needs to one level, at a depth of training.

    With `is_bound` the first needs at least so many: it diverged, or never came to the level.
    """

    batch_size: float
    learning_rate: float
    against_batch_size: float
    against_learning_rate: float
    depth: float
    log_ratio: float
    sd: float
    is_bound: bool = False


@dataclass(frozen=True, slots=True)
class NoiseHint:
    """ln of a noise scale at a depth of training, as a guess of ln B_crit there that may be off by `sd`."""

    log_noise_scale: float
    depth: float
    sd: float


@dataclass(frozen=True, slots=True)
class ProgressPrior:
    """What is believed beforehand: of ln B_crit, of log2 η* at a base batch size, and of the exponent p."""

    log_critical: float
    log_critical_sd: float
    base_batch_size: float
    base_learning_rate: float
    exponent: float
    log2_rate_sd: float = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class ProgressModel:
    """Draws of the posterior, shape (draws, 8); see the module's docstring for the parameters."""

    draws: Array
    base_batch_size: float

    @property
    def critical_batch_sizes(self) -> Array:
        """Return the draws of B_crit at the target."""
        return numpy.asarray(numpy.exp(self.draws[:, LOG_CRITICAL]))

    def log_examples(self, batch_size: ArrayLike, learning_rate: ArrayLike) -> Array:
        """Return ln examples to the target, up to a constant of each draw; shape (draws, settings)."""
        sizes, rates = numpy.atleast_1d(numpy.asarray(batch_size, float)), numpy.asarray(learning_rate, float)
        return _log_examples(self.draws, self.base_batch_size, sizes, numpy.log2(rates), numpy.zeros(len(sizes)))

    def best_log2_rates(self, batch_size: float) -> Array:
        """Return the draws of log2 η*(B) at the target."""
        return numpy.asarray(
            _optimum(self.draws, self.base_batch_size, numpy.array([batch_size]), numpy.zeros(1))[:, 0]
        )


def fit_progress(
    comparisons: Sequence[Comparison],
    prior: ProgressPrior,
    *,
    hints: Sequence[NoiseHint] = (),
    n_draws: int = 1000,
    seed: int = 0,
) -> ProgressModel:
    """Return the posterior of the model, given comparisons of settings; without any it is the prior.

    Args:
        comparisons: each independent of the others, but for what they share through the model.
        prior: see `ProgressPrior`.
        hints: noise scales, where some were measured.
        n_draws: draws of the posterior.
        seed: of the draws.
    """
    guess = math.log2(prior.base_learning_rate)
    mean = (prior.log_critical, guess, guess + WALL_OCTAVES, prior.exponent)
    sd = (prior.log_critical_sd, prior.log2_rate_sd, WALL_SD, EXPONENT_SD)
    rest = (COOL_PRIOR, HOT_PRIOR, DRIFT_PRIOR, GROWTH_PRIOR)
    columns = _Columns.of(comparisons)

    def log_likelihood(draws: Array) -> Array:
        guessed = sum(_hint_log_likelihood(draws, hint) for hint in hints)
        return columns.log_likelihood(draws, prior.base_batch_size) + guessed

    draws = draw_posterior(
        log_likelihood,
        (*mean, *(center for center, _ in rest)),
        (*sd, *(spread for _, spread in rest)),
        n_draws=n_draws,
        seed=seed,
    )
    return ProgressModel(draws, prior.base_batch_size)


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Comparisons as arrays."""

    sizes: Array
    rates: Array
    against_sizes: Array
    against_rates: Array
    depths: Array
    log_ratios: Array
    sds: Array
    bounds: NDArray[numpy.bool_]

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> "_Columns":
        rows = [
            (
                one.batch_size,
                math.log2(one.learning_rate),
                one.against_batch_size,
                math.log2(one.against_learning_rate),
                one.depth,
                one.log_ratio,
                one.sd,
                float(one.is_bound),
            )
            for one in comparisons
        ]
        table = numpy.array(rows, dtype=float).reshape(-1, 8).T
        sizes, rates, against_sizes, against_rates, depths, log_ratios, sds, bounds = table
        return cls(sizes, rates, against_sizes, against_rates, depths, log_ratios, sds, bounds > 0)

    def log_likelihood(self, draws: Array, base: float) -> Array:
        ours = _log_examples(draws, base, self.sizes, self.rates, self.depths)
        theirs = _log_examples(draws, base, self.against_sizes, self.against_rates, self.depths)
        missed = (self.log_ratios - (ours - theirs)) / self.sds
        nu = DEGREES_OF_FREEDOM
        exact = -0.5 * (nu + 1) * numpy.log1p(missed**2 / nu)
        return numpy.asarray(numpy.where(self.bounds, log_ndtr(-missed), exact).sum(axis=1))


def _hint_log_likelihood(draws: Array, hint: NoiseHint) -> Array:
    missed = draws[:, LOG_CRITICAL] - draws[:, GROWTH] * hint.depth - hint.log_noise_scale
    return numpy.asarray(-0.5 * (missed / hint.sd) ** 2)


def _optimum(draws: Array, base: float, sizes: Array, depths: Array) -> Array:
    """Return log2 η*(B) at each depth, shape (draws, settings)."""
    critical = _critical(draws, depths)
    bend = numpy.log2(sizes / base * (critical + base) / (critical + sizes))
    return numpy.asarray(draws[:, [OPTIMUM]] + draws[:, [DRIFT]] * depths + draws[:, [EXPONENT]] * bend)


def _log_examples(draws: Array, base: float, sizes: Array, log2_rates: Array, depths: Array) -> Array:
    octaves = log2_rates - _optimum(draws, base, sizes, depths)
    share = numpy.exp2(numpy.minimum(octaves, 0.0))
    cool = -numpy.exp(draws[:, [COOL]]) * numpy.log(share * (2 - share))
    hot = numpy.exp(draws[:, [HOT]]) * numpy.maximum(octaves, 0.0) ** 2
    beyond = (log2_rates - draws[:, [WALL]]) / WALL_BEND
    wall = WALL_STEEPNESS * WALL_BEND * numpy.logaddexp(0.0, beyond)
    return numpy.asarray(numpy.log1p(sizes / _critical(draws, depths)) + cool + hot + wall)


def _critical(draws: Array, depths: Array) -> Array:
    return numpy.asarray(numpy.exp(draws[:, [LOG_CRITICAL]] - draws[:, [GROWTH]] * depths))
