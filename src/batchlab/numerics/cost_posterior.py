"""How probable the parameters of a cost surface are, given runs and priors: see `numerics.cost_surface` for the model.

Gauss-Newton wants the log-posterior as a sum of squares, with the Jacobian of what is squared.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy
from numpy.typing import NDArray
from scipy.special import log_ndtr

from batchlab.numerics.rate_excess import rate_excess

Array = NDArray[numpy.float64]

# Priors, (mean, sd): of α, ln r and ln τ.
SLOPE, LOG_RIGHT, LOG_TAU = (0.8, 0.25), (1.3, 0.8), (0.0, 0.5)
# Standard deviations of x_0 about the base rate, of ln B_c and ln B_n about the middle of the sizes, of δ, ε and u.
SD_BASE_RATE, SD_CRITICAL, SD_SATURATION = 1.4, 2.0, 1.5
SD_SIZE, SD_RATE, SD_SEED = 0.08, 0.15, 0.1
# The noise of ln E: what it is taken for before there are runs, and how many runs that is worth.
NOISE, NOISE_WORTH = 0.12, 6.0
# A run far from the best of its size is known less well, by this share: f is only about right there.
MISFIT = 0.2
# That a run took half as much again as the least, or more, says that its rate is wrong; how much more says little.
FAR = math.log(1.5)
# Training fails beyond the wall, e^w times the best rate: the prior of ln w, and how sharp the wall is in ln(rate).
LOG_WALL, WALL_WIDTH = (math.log(0.3), 0.7), 0.06
# Censored runs alone do not say on which side of the best rate they are: several starts of x_0.
STARTS = (0.0, -1.5, 1.5, -3.0, 3.0)
MOST_STEPS = 60
LONGEST_STEP, LEAST_GAIN, MOST_DAMPING = 2.0, 1e-6, 1e6

# Parameters: ln E_min, ln B_c, x_0, ln B_n, α, ln r, ln τ, ln w; then δ and ε of each size and u of each seed.
N_SHARED = 8


@dataclass(frozen=True, slots=True)
class CostRun:
    """One run: `arm` is the index of its batch size, `seed` that of its seed, and `log_rate` ln(learning rate).

    `log_cost` is ln(examples to the target) where it was reached, else ln(examples without) and `reached` is False.
    `failed`: the loss was no longer finite, or levels off, so that the rate was too high. `extra_sd` is the standard
    deviation of a cost that was extrapolated, `scatter` that of when a noisy curve gets there by chance
    (`crossing_scatter`).
    """

    arm: int
    log_rate: float
    log_cost: float
    reached: bool
    failed: bool = False
    seed: int = 0
    extra_sd: float = 0.0
    scatter: float = 0.0


class Columns(NamedTuple):
    """The runs, as columns; `reached` ones have a cost, exact or extrapolated."""

    arm: NDArray[numpy.intp]
    seed: NDArray[numpy.intp]
    log_rate: Array
    log_cost: Array
    reached: NDArray[numpy.bool_]
    failed: NDArray[numpy.bool_]
    extra_sd: Array
    scatter: Array


def columns_of(runs: tuple[CostRun, ...]) -> Columns:
    """Return the runs as columns."""
    return Columns(*(numpy.array([getattr(run, name) for run in runs]) for name in Columns._fields))


def posterior_of(sizes: Array, runs: Columns, base_rate: float, base: float) -> "Posterior":
    """Return the posterior, its priors centered by the runs and the base rate."""
    middle = float(numpy.log(sizes).mean())
    shared = [
        (float(runs.log_cost[runs.reached].min()), 3.0),
        (middle + 1.0, SD_CRITICAL),
        (math.log(base_rate), SD_BASE_RATE),
        (middle + 0.7, SD_SATURATION),
        SLOPE,
        LOG_RIGHT,
        LOG_TAU,
        LOG_WALL,
    ]
    own = [(0.0, SD_SIZE)] * len(sizes) + [(0.0, SD_RATE)] * len(sizes)
    seeds = [(0.0, SD_SEED)] * (int(runs.seed.max()) + 1)
    mean, sd = numpy.array([*shared, *own, *seeds]).T
    best = numpy.full(len(sizes), numpy.inf)
    numpy.minimum.at(best, runs.arm[runs.reached], runs.log_cost[runs.reached])
    excess = numpy.maximum(runs.log_cost - numpy.minimum(best[runs.arm], runs.log_cost), 0.0)
    return Posterior(sizes, base, runs, mean, sd, _extra_variance(runs, excess))


def _extra_variance(runs: Columns, excess: Array) -> Array:
    misfit = MISFIT * numpy.where(runs.reached, excess, numpy.minimum(excess, FAR))
    return misfit**2 + runs.extra_sd**2 + runs.scatter**2


class Posterior(NamedTuple):
    """The log-posterior as a sum of squares; `extra_variance` is that of each run beside the noise."""

    sizes: Array
    base: float
    runs: Columns
    mean: Array
    sd: Array
    extra_variance: Array

    def curves(self, point: Array) -> tuple[Array, Array, Array]:
        """Return ln E and x* of each size, and the Jacobian of both, stacked."""
        n = len(self.sizes)
        critical, saturation = math.exp(point[1]), math.exp(point[3])
        rise = math.log1p(saturation / self.base) - numpy.log1p(saturation / self.sizes)
        log_cost = point[0] + numpy.log1p(self.sizes / critical) + point[N_SHARED : N_SHARED + n]
        log_rate = point[2] + point[4] * rise + point[N_SHARED + n : N_SHARED + 2 * n]
        jacobian = numpy.zeros((2 * n, len(point)))
        jacobian[:n, 0] = 1.0
        jacobian[:n, 1] = -self.sizes / (self.sizes + critical)
        jacobian[n:, 2] = 1.0
        jacobian[n:, 3] = point[4] * (saturation / (saturation + self.base) - saturation / (saturation + self.sizes))
        jacobian[n:, 4] = rise
        jacobian[:, N_SHARED : N_SHARED + 2 * n] += numpy.eye(2 * n)
        return log_cost, log_rate, jacobian

    def reweighted(self, point: Array) -> "Posterior":
        """Return the posterior with the misfit that goes with the excess at a fit.

        What a run shows beyond the best one seen would do for a start only: the luckiest would count the most.
        """
        z = self.runs.log_rate - self.curves(point)[1][self.runs.arm]
        excess = rate_excess(z, math.exp(point[5]), math.exp(point[6])).value
        return self._replace(extra_variance=_extra_variance(self.runs, excess))

    def residuals(self, point: Array, noise: float) -> tuple[Array, Array]:
        """Return residuals whose sum of squares is -2 ln(posterior), but for a constant, and their Jacobian."""
        n, runs, rows = len(self.sizes), self.runs, numpy.arange(len(self.runs.arm))
        log_cost, log_rate, by_curves = self.curves(point)
        by_cost, by_rate = by_curves[runs.arm], by_curves[n + runs.arm]
        z = runs.log_rate - log_rate[runs.arm]
        excess = rate_excess(z, math.exp(point[5]), math.exp(point[6]))
        u = N_SHARED + 2 * n + runs.seed
        gap = log_cost[runs.arm] + excess.value + point[u] - runs.log_cost
        by_point = by_cost - excess.by_z[:, None] * by_rate
        by_point[:, 5] += excess.by_log_right
        by_point[:, 6] += excess.by_log_tau
        by_point[rows, u] += 1.0
        far = ~runs.reached & (runs.log_cost > log_cost[runs.arm] + FAR)
        gap[far] = excess.value[far] - FAR
        by_point[far] -= by_cost[far]
        by_point[rows[far], u[far]] = 0.0
        sd = numpy.sqrt(noise**2 + self.extra_variance)
        value, by_point = gap / sd, by_point / sd[:, None]
        wall = math.exp(point[7])
        # One that got there by chance tells as much less of the wall.
        width = numpy.hypot(WALL_WIDTH, runs.scatter)
        past_wall, by_wall = (z - wall) / width, -by_rate / width[:, None]
        by_wall[:, 7] -= wall / width
        value[runs.failed], by_point[runs.failed] = past_wall[runs.failed], by_wall[runs.failed]
        beyond, slope = _beyond(value)
        value = numpy.where(runs.reached, value, beyond)
        by_point *= numpy.where(runs.reached, 1.0, slope)[:, None]
        within, slope = _beyond(-past_wall[runs.reached])
        return (
            numpy.concatenate([value, within, (point - self.mean) / self.sd]),
            numpy.concatenate([by_point, -slope[:, None] * by_wall[runs.reached], numpy.diag(1 / self.sd)]),
        )

    def mode(self, point: Array, noise: float) -> tuple[Array, float]:
        """Return the mode next to a point, and -2 ln(posterior) there."""
        value, jacobian = self.residuals(point, noise)
        total, damping = float(value @ value), 1e-3
        for _ in range(MOST_STEPS):
            normal = jacobian.T @ jacobian
            step = numpy.linalg.solve(normal + damping * numpy.diag(numpy.diag(normal)), -jacobian.T @ value)
            step *= min(1.0, LONGEST_STEP / max(LEAST_GAIN, float(numpy.abs(step).max())))
            new_value, new_jacobian = self.residuals(point + step, noise)
            gain = total - float(new_value @ new_value)
            if gain < 0:
                damping *= 10
                if damping > MOST_DAMPING:
                    break
                continue
            point, value, jacobian = point + step, new_value, new_jacobian
            total, damping = total - gain, damping / 10
            if gain < LEAST_GAIN * (1 + total):
                break
        return point, total

    def noise(self, point: Array, noise: float) -> float:
        """Return the noise that the exact runs show about a fit, together with what was expected of it."""
        value, jacobian = self.residuals(point, noise)
        exact = numpy.flatnonzero(self.runs.reached & (self.runs.extra_sd == 0))
        covariance = numpy.linalg.inv(jacobian.T @ jacobian)
        leverage = ((jacobian[exact] @ covariance) * jacobian[exact]).sum(axis=1)
        squares = float((value[exact] ** 2).sum()) * noise**2
        return math.sqrt((NOISE_WORTH * NOISE**2 + squares) / (NOISE_WORTH + float((1 - leverage).sum())))


def _beyond(u: Array) -> tuple[Array, Array]:
    """Return √(-2 ln Φ(u)), the residual of a run known only to take longer, with its derivative."""
    log_probability = log_ndtr(u)
    value = numpy.sqrt(-2 * log_probability)
    ratio = numpy.exp(-(u**2) / 2 - math.log(2 * math.pi) / 2 - log_probability)
    return value, -ratio / numpy.maximum(value, 1e-9)
