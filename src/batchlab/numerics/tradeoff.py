"""The trade-off between steps and examples to a target, and the critical batch size.

S(B) = S_min (1 + B_crit/B): steps to a target at batch size B; E(B) = B S(B) = E_min + S_min B: examples; hence
(S/S_min - 1)(E/E_min - 1) = 1 with B_crit = E_min/S_min (McCandlish et al. 2018). At B_crit both are twice their
least. Noise is normal in ln S and alike at every B.
"""

import math
from dataclasses import dataclass, replace

import numpy
from numpy.typing import ArrayLike, NDArray

from batchlab.numerics.censored_normal import CensoredFit, fit_censored
from batchlab.numerics.measured_curve import MeasuredCurve, measured_curve
from batchlab.numerics.profile_likelihood import Profile, profile_limits, trace_profile
from batchlab.numerics.size_scatter import Scatter, scatter_about
from batchlab.numerics.step_counts import StepCounts, step_counts

Array = NDArray[numpy.float64]

# Beyond this factor outside the sizes tried, the curve differs from its limit by less than 0.1 %.
REACH = 1000.0
# The sizes must reach this factor to both sides of the critical batch size to show both asymptotes.
COVER = 4.0
# An estimate within this factor of the largest (smallest) size tried is only a bound.
BOUND = 2.0
FEW_STEPS = 10.0
SHAPE_LEVEL = POOR_LEVEL = 0.05
# The share by which examples exceed their least at the limits of the regions.
PERFECT_OVERHEAD, MAXIMAL_OVERHEAD = 0.25, 4.0


@dataclass(frozen=True, slots=True)
class TradeOff:
    """The fitted curve; the critical batch size is in examples, at an overhead of 1 in both steps and examples.

    `low` and `high` are the limits of the critical batch size at `level`: 0 or inf where the batch sizes tried give no
    limit on that side. `sd` is that of one run's ln(steps). `shape_p_value` tests the curve's bend against
    S_min (1 + (B_crit/B)^a)^(1/a) with a ≠ 1; None where it cannot be tested. `measured` is the curve through the
    means of the sizes, which assumes no shape.

    Flags: `censored` (some runs did not reach the target), `edge_of_range` (the sizes do not reach a factor 4 to both
    sides of the critical one), `unbounded_interval`, `shape_rejected`, `poor_fit` (the sizes scatter about the curve
    by more than their seeds; the interval allows for it), `few_steps` (the least number of steps is below 10),
    `noise_unknown` (too few runs for an interval).
    """

    steps_min: float
    examples_min: float
    critical_batch_size: float
    low: float
    high: float
    level: float
    sd: float
    n: int
    n_censored: int
    shape_p_value: float | None
    measured: MeasuredCurve
    flags: tuple[str, ...]

    def steps(self, batch_size: float) -> float:
        """Return the expected steps to the target (their median) at a batch size."""
        return self.steps_min + self.examples_min / batch_size

    def examples(self, batch_size: float) -> float:
        """Return the expected examples to the target at a batch size."""
        return self.steps_min * batch_size + self.examples_min

    def overhead_batch_size(self, overhead: float) -> float:
        """Return the batch size at which examples exceed their least by a share; inf beyond the sizes tried.

        δ B_crit by the curve: 1 is McCandlish et al.'s critical batch size, 0.2 that of Zhang et al. (2024). Where
        the curve's shape is rejected, by monotone interpolation of the examples measured, over those at the smallest
        size tried.
        """
        _check_overhead(overhead)
        if "shape_rejected" in self.flags:
            return self.measured.overhead_batch_size(overhead)
        return overhead * self.critical_batch_size


@dataclass(frozen=True, slots=True)
class Region:
    """A range of batch sizes, from `low` to `high`, with the overheads in examples (shares of the least) there."""

    name: str
    low: float
    high: float
    low_overhead: float
    high_overhead: float


def scaling_regions(tradeoff: TradeOff) -> tuple[Region, Region, Region]:
    """Return the regions of perfect scaling, diminishing returns and maximal parallelism (Shallue et al. 2019).

    Their limits are where efficiency E_min/E = 1/(1 + B/B_crit) is 0.8 and 0.2: overheads of 0.25 and 4.

    >>> perfect, diminishing, _ = scaling_regions(fit_tradeoff([8, 64, 512, 4096], [33000, 5000, 1500, 1062.5]))
    >>> round(perfect.high), round(diminishing.high)
    (64, 1024)
    """
    first, second = (tradeoff.overhead_batch_size(overhead) for overhead in (PERFECT_OVERHEAD, MAXIMAL_OVERHEAD))
    return (
        Region("perfect scaling", 0.0, first, 0.0, PERFECT_OVERHEAD),
        Region("diminishing returns", first, second, PERFECT_OVERHEAD, MAXIMAL_OVERHEAD),
        Region("maximal parallelism", second, math.inf, MAXIMAL_OVERHEAD, math.inf),
    )


def fit_tradeoff(
    batch_sizes: ArrayLike, steps: ArrayLike, censored: ArrayLike | None = None, level: float = 0.95
) -> TradeOff:
    """Return the trade-off curve of steps to a target, by maximum likelihood, with the critical batch size's interval.

    ln S = p + ln(1 + e^c/B) + noise: a normal density for exact counts, the probability of the interval for counts
    between two evaluations, the tail for runs that never got there (dropping those is optimistic). The interval is the
    set of c at which the profile likelihood L satisfies

        (e^(2ΔL/n) - 1)(n - 2) <= F_{1,n-2}(level),

    n the runs that reached the target: exactly the F interval of regression where nothing is censored, wider than
    the asymptotic drop of 1.92. Where the sizes scatter about the curve by more than the seeds (F test at .25), their
    scatter, with k - 2 degrees of freedom, takes the seeds' place: what all seeds of a size share, such as the luck of
    its learning rate, is then in the interval (`size_scatter`).

    One limit is missing where the profile never falls that far, and where the estimate lies within a factor 2 of the
    largest or smallest size tried. Seed effects that all sizes share only make the interval wider than needed.

    Args:
        batch_sizes, steps, censored: one entry a run, see `step_counts`; a size repeats for each of its seeds.
        level: Coverage of the interval.

    >>> fit = fit_tradeoff([8, 64, 512, 4096], [33000, 5000, 1500, 1062.5])
    >>> round(fit.critical_batch_size), round(fit.steps_min), round(fit.overhead_batch_size(0.2))
    (256, 1000, 51)
    """
    if not 0 < level < 1:
        raise ValueError(f"`level` must lie between 0 and 1, got {level}; use 0.95 for a 95 % interval.")
    counts = step_counts(batch_sizes, steps, censored)
    smallest, largest = float(counts.batch_sizes.min()), float(counts.batch_sizes.max())

    def log_likelihood(log_critical: Array) -> Array:
        return _curve(counts, log_critical).log_likelihood

    profile = trace_profile(log_likelihood, math.log(smallest / REACH), math.log(largest * REACH))
    measured, saturated = measured_curve(counts)
    n = int(counts.informative.sum())
    scatter = scatter_about(n, len(counts.sizes), 2, 2 * (saturated - profile.highest))
    low, high = -math.inf, math.inf
    if scatter is not None:
        low, high = profile_limits(log_likelihood, profile, n * math.log1p(scatter.allowed(level)) / 2)
    critical = math.exp(profile.best)
    steps_min, examples_min, sd = _least(counts, critical, smallest, largest)
    fit = TradeOff(
        steps_min=steps_min,
        examples_min=examples_min,
        critical_batch_size=critical,
        low=0.0 if critical < BOUND * smallest else math.exp(low),
        high=math.inf if critical > largest / BOUND else math.exp(high),
        level=level,
        sd=sd,
        n=len(counts.batch_sizes),
        n_censored=int((counts.high == math.inf).sum()),
        shape_p_value=_shape_p_value(counts, profile, saturated),
        measured=measured,
        flags=(),
    )
    return replace(fit, flags=_flags(fit, scatter, smallest, largest))


def _flags(fit: TradeOff, scatter: Scatter | None, smallest: float, largest: float) -> tuple[str, ...]:
    found = {
        "censored": fit.n_censored > 0,
        "edge_of_range": not smallest * COVER <= fit.critical_batch_size <= largest / COVER,
        "unbounded_interval": fit.low == 0 or fit.high == math.inf,
        "shape_rejected": fit.shape_p_value is not None and fit.shape_p_value < SHAPE_LEVEL,
        "poor_fit": scatter is not None and scatter.p_value < POOR_LEVEL,
        "few_steps": fit.steps_min < FEW_STEPS,
        "noise_unknown": scatter is None,
    }
    return tuple(flag for flag, holds in found.items() if holds)


def _curve(counts: StepCounts, log_critical: Array) -> CensoredFit:
    offsets = numpy.log1p(numpy.exp(log_critical[:, None]) / counts.batch_sizes)
    return fit_censored(counts.low, counts.high, offsets, numpy.ones((len(counts.batch_sizes), 1)))


def _least(counts: StepCounts, critical: float, smallest: float, largest: float) -> tuple[float, float, float]:
    """Return S_min, E_min and the noise; S_min is 0 where no size shows it, E_min likewise."""
    within = min(max(critical, smallest / REACH), largest * REACH)
    fit = _curve(counts, numpy.array([math.log(within)]))
    steps_min, sd = math.exp(float(fit.coefficients[0, 0])), float(fit.sd[0])
    return (
        0.0 if critical == math.inf else steps_min,
        0.0 if critical == 0 else steps_min * within,
        sd,
    )


def _shape_p_value(counts: StepCounts, profile: Profile, saturated: float) -> float | None:
    """Return the p-value of a = 1 in S_min (1 + (B_crit/B)^a)^(1/a), by the likelihood ratio to the tangent model.

    ln S = ln S_fit + Δp + Δc r/(1 + r) + Δln a (r ln r/(1 + r) - ln(1 + r)) with r = B_crit/B: does it gain over the
    fit, judged by the scatter about itself?
    """
    n, k = int(counts.informative.sum()), len(counts.sizes)
    if not math.isfinite(profile.best) or k < 3:
        return None
    ratio = math.exp(profile.best) / counts.batch_sizes
    by_critical = ratio / (1 + ratio)
    by_exponent = by_critical * numpy.log(ratio) - numpy.log1p(ratio)
    design = numpy.stack([numpy.ones_like(ratio), by_critical, by_exponent], axis=1)
    if numpy.linalg.matrix_rank(design[counts.informative], tol=1e-6) < 3:
        return None
    tangent = float(fit_censored(counts.low, counts.high, numpy.log1p(ratio)[None], design).log_likelihood[0])
    scatter = scatter_about(n, k, 3, 2 * (saturated - tangent))
    return None if scatter is None else scatter.p_value_of(2 * (tangent - profile.highest), n)


def _check_overhead(overhead: float) -> None:
    if not 0 < overhead < math.inf:
        raise ValueError(
            f"`overhead` must be above 0 and finite, got {overhead}; use 0.2 for 20 % more examples than the least."
        )
