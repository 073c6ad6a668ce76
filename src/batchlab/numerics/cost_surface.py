"""The cost of reaching a target as one smooth surface over learning rate and batch size, from few and censored runs.

With B the batch size and z = ln(rate) - x*(B) the distance from its best learning rate, the examples E to the target
are, but for noise,

    ln E = ln E_min + ln(1 + B/B_c) + δ_B + f(z) + u_seed,
    x*(B) = x_0 + α [ln(1 + B_n/B_0) - ln(1 + B_n/B)] + ε_B.

The first line is the trade-off curve (McCandlish et al. 2018) with what a rate costs beyond the best one
(`rate_excess`), the second a best rate that rises by a power of B and then saturates. Beyond a wall, z > w, training
fails: it diverges, or levels off short of the target. δ and ε let single sizes depart from the curves. Every parameter
has a normal prior, wide for what differs between workloads.
"""

import functools
import math
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from batchlab.numerics.cost_posterior import NOISE, STARTS, WALL_WIDTH, CostRun, Posterior, columns_of, posterior_of
from batchlab.numerics.rate_excess import cautious_offset

Array = NDArray[numpy.float64]

# How often the noise is estimated from the residuals, and all fitted again.
N_NOISE_STEPS = 3


@dataclass(frozen=True, slots=True)
class CostSurface:
    """The fitted surface at each batch size, in order.

    `log_cost` is ln(examples) at the best rate, `log_rate` ln(best rate); `covariance` is that of both, stacked.
    `right` and `tau` are those of `rate_excess`; beyond e^`wall` times the best rate training fails. `noise` is the
    standard deviation of one run's ln(examples).
    """

    log_cost: Array
    log_rate: Array
    covariance: Array
    right: float
    tau: float
    wall: float
    noise: float

    @property
    def log_cost_sd(self) -> Array:
        """Return the standard deviations of `log_cost`."""
        return numpy.asarray(numpy.sqrt(numpy.diag(self.covariance)[: len(self.log_cost)]))

    @property
    def log_rate_sd(self) -> Array:
        """Return the standard deviations of `log_rate`."""
        return numpy.asarray(numpy.sqrt(numpy.diag(self.covariance)[len(self.log_cost) :]))

    def cautious_log_rate(self, arm: int) -> float:
        """Return the ln(rate) of least expected cost at a size, given how well the best is known."""
        offset, _ = self._cautious(arm)
        return float(self.log_rate[arm]) + offset

    def expected_excess(self, arm: int) -> float:
        """Return what that rate costs beyond the best one, in ln(examples), as far as is known."""
        return self._cautious(arm)[1]

    def _cautious(self, arm: int) -> tuple[float, float]:
        return cautious_offset(float(self.log_rate_sd[arm]), self.right, self.tau, self.wall, WALL_WIDTH)

    def difference(self, arm: int, other: int) -> tuple[float, float]:
        """Return how much `log_cost` of one size exceeds that of another, and the standard deviation of that."""
        pick = numpy.zeros(len(self.covariance))
        pick[arm] += 1.0
        pick[other] -= 1.0
        variance = float(pick @ self.covariance @ pick)
        return float(self.log_cost[arm] - self.log_cost[other]), math.sqrt(max(0.0, variance))


@functools.lru_cache(maxsize=256)
def fit_cost_surface(
    batch_sizes: tuple[float, ...], runs: tuple[CostRun, ...], *, base_rate: float, base_batch_size: float
) -> CostSurface:
    """Return the surface that runs and priors make most probable, with the normal approximation there.

    Runs that reached the target count with a normal density in ln E and the probability of a rate within the wall,
    those that did not with the probability of taking longer, and those that failed with that of a rate beyond the wall.
    Gauss-Newton steps, damped where they overshoot; then the noise is estimated from the residuals, and all repeated.

    Args:
        batch_sizes: of the arms, in rising order.
        runs: at least one of them reached the target.
        base_rate: the learning rate to expect at `base_batch_size`, within a factor of 4 or so.
        base_batch_size: B_0.
    """
    if not any(run.reached for run in runs):
        raise ValueError("A cost surface needs a run that reached the target, got none; choose an easier target.")
    posterior = posterior_of(numpy.asarray(batch_sizes, dtype=float), columns_of(runs), base_rate, base_batch_size)
    starts = [posterior.mean + start * (numpy.arange(len(posterior.mean)) == 2) for start in STARTS]
    point = min((posterior.mode(start, NOISE) for start in starts), key=lambda found: found[1])[0]
    noise = NOISE
    for _ in range(N_NOISE_STEPS):
        posterior = posterior.reweighted(point)
        noise = posterior.noise(point, noise)
        point, _ = posterior.mode(point, noise)
    return _surface(posterior, point, noise)


def _surface(posterior: Posterior, point: Array, noise: float) -> CostSurface:
    """Return the surface at a fitted point."""
    _, jacobian = posterior.residuals(point, noise)
    log_cost, log_rate, by_point = posterior.curves(point)
    covariance = by_point @ numpy.linalg.inv(jacobian.T @ jacobian) @ by_point.T
    right, tau, wall = numpy.exp(point[5:8]).tolist()
    return CostSurface(log_cost, log_rate, covariance, right, tau, wall, noise)
