"""Linear models with normal noise when some values are known only to lie between two limits; maximum likelihood.

A value lies in (low, high]: low = high where it is exact, high = inf where it is only known to exceed low, low = -inf
where it is only known to be below high. Many models, which differ in their offsets, are fitted in one pass.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy
from numpy.typing import NDArray
from scipy.special import log_ndtr

Array = NDArray[numpy.float64]

# Values that lie closer together count as exact: probabilities of such small intervals lose their digits.
EXACT_WIDTH = 1e-4
# Standard deviation added to the noise, so that values without any scatter leave a finite likelihood.
LEAST_SD = 1e-3
MOST_STEPS = 100
LAST_GAIN = 1e-3
ROUNDING = 1e-9
TINY = 1e-300
# A mean may be free to move within intervals much wider than the noise: the likelihood is then flat to all digits.
RIDGE = 1e-6
LOG_ROOT_2_PI = 0.9189385332046727


@dataclass(frozen=True, slots=True)
class CensoredFit:
    """The fits of m models with q coefficients: shapes (m,), (m, q) and (m,)."""

    log_likelihood: Array
    coefficients: Array
    sd: Array


class _Derivatives(NamedTuple):
    """Log-likelihood of each value and its derivatives by the scaled mean a and the precision g; shape (m, n)."""

    value: Array
    a: Array
    g: Array
    aa: Array
    ag: Array
    gg: Array


def informative(low: Array, high: Array) -> NDArray[numpy.bool_]:
    """Return which values have two finite limits."""
    return numpy.isfinite(low) & numpy.isfinite(high)


def fit_censored(low: Array, high: Array, offsets: Array, design: Array) -> CensoredFit:
    """Return the maximum likelihood fit of y = offset + design·β + s·noise, one for each row of `offsets`.

    A value contributes ln(φ(u)/s) where it is exact, else ln(Φ(u_high) - Φ(u_low)), u = (y - offset - design·β)/s.
    In the parameters β/s and 1/s this is concave (Olsen 1978, for one limit; Pratt 1981), so that Newton's steps,
    halved where they overshoot, reach the one maximum. Each value with two finite limits adds
    -(0.001/s)²/2, which keeps s above zero where nothing scatters and is not felt elsewhere.

    Args:
        low, high: shape (n,); at least one value needs two finite limits for every coefficient.
        offsets: shape (m, n).
        design: shape (n, q).
    """
    exact = informative(low, high) & (high - low < EXACT_WIDTH)
    order = numpy.argsort(~exact, kind="stable")
    low, high, offsets, design = low[order], high[order], offsets[:, order], design[order]
    n_exact, n_known = int(exact.sum()), int(informative(low, high).sum())
    products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    parameters, step = _start(low, high, offsets, design), numpy.zeros((len(offsets), design.shape[1] + 1))
    reached = numpy.full(len(offsets), -numpy.inf)
    for _ in range(MOST_STEPS):
        point = _derivatives(low, high, offsets, parameters[:, :-1] @ design.T, parameters[:, -1:], n_exact)
        log_likelihood = point.value.sum(axis=1) - n_known * (LEAST_SD * parameters[:, -1]) ** 2 / 2
        too_far = log_likelihood < reached - ROUNDING * (1 + numpy.abs(reached))
        if too_far.any():
            step = numpy.where(too_far[:, None], step / 2, 0.0)
            parameters = parameters - step
            continue
        gradient, hessian = _gather(point, design, products, parameters[:, -1], n_known)
        step = -numpy.linalg.solve(hessian, gradient[..., None])[..., 0]
        gain = (gradient * step).sum(axis=1) / 2
        if gain.max() < LAST_GAIN:
            # The quadratic that the step maximizes is by now exact: no need to look again.
            parameters, log_likelihood = parameters + step, log_likelihood + gain
            break
        reached = log_likelihood
        # Precision stays positive, where the likelihood is concave.
        step *= numpy.minimum(1.0, -0.7 * parameters[:, -1:] / numpy.minimum(step[:, -1:], -TINY))
        parameters = parameters + step
    sd = 1 / parameters[:, -1]
    return CensoredFit(log_likelihood, parameters[:, :-1] * sd[:, None], sd)


def _start(low: Array, high: Array, offsets: Array, design: Array) -> Array:
    """Return β/s and 1/s of least squares on the middles of the intervals, or on the finite limit."""
    middle, width = numpy.where(numpy.isfinite(low), low, high), numpy.zeros(len(low))
    known = informative(low, high)
    middle[known], width[known] = (low[known] + high[known]) / 2, high[known] - low[known]
    rest = middle - offsets
    coefficients = numpy.linalg.solve(design.T @ design, design.T @ rest.T).T
    residual = rest - coefficients @ design.T
    precision = 1 / numpy.sqrt((residual**2).mean(axis=1) + (width**2).mean() / 12 + LEAST_SD**2)
    return numpy.concatenate([coefficients * precision[:, None], precision[:, None]], axis=1)


def _gather(point: _Derivatives, design: Array, products: Array, precision: Array, n_known: int) -> tuple[Array, Array]:
    """Return gradient (m, q + 1) and Hessian (m, q + 1, q + 1) of the penalized log-likelihood."""
    q = design.shape[1]
    gradient = numpy.empty((len(precision), q + 1))
    hessian = numpy.empty((len(precision), q + 1, q + 1))
    gradient[:, :q] = point.a @ design
    gradient[:, q] = point.g.sum(axis=1) - n_known * LEAST_SD**2 * precision
    hessian[:, :q, :q] = (point.aa @ products).reshape(-1, q, q) - RIDGE * numpy.eye(q)
    hessian[:, q, :q] = hessian[:, :q, q] = point.ag @ design
    hessian[:, q, q] = point.gg.sum(axis=1) - n_known * LEAST_SD**2
    return gradient, hessian


def _derivatives(
    low: Array, high: Array, offsets: Array, scaled_mean: Array, precision: Array, n_exact: int
) -> _Derivatives:
    parts = []
    if n_exact:
        middle = (low[:n_exact] + high[:n_exact]) / 2 - offsets[:, :n_exact]
        parts.append(_exact(middle, scaled_mean[:, :n_exact], precision))
    if n_exact < len(low):
        below, above = (limit[n_exact:] - offsets[:, n_exact:] for limit in (low, high))
        parts.append(_between(below, above, scaled_mean[:, n_exact:], precision))
    if len(parts) == 1:
        return parts[0]
    return _Derivatives(*(numpy.concatenate(pair, axis=1) for pair in zip(*parts, strict=True)))


def _exact(z: Array, scaled_mean: Array, precision: Array) -> _Derivatives:
    u = precision * z - scaled_mean
    return _Derivatives(
        value=numpy.log(precision) - LOG_ROOT_2_PI - u**2 / 2,
        a=u,
        g=1 / precision - u * z,
        aa=-numpy.ones_like(u),
        ag=z,
        gg=-(z**2) - 1 / precision**2,
    )


def _between(z_low: Array, z_high: Array, scaled_mean: Array, precision: Array) -> _Derivatives:
    u_low, u_high = precision * z_low - scaled_mean, precision * z_high - scaled_mean
    log_probability = _log_probability(u_low, u_high)
    # Density at a limit over the probability of the interval; infinite limits have none and may count as zero.
    r_low, r_high = (numpy.exp(-(u**2) / 2 - LOG_ROOT_2_PI - log_probability) for u in (u_low, u_high))
    u_low, z_low = (numpy.where(numpy.isfinite(z_low), part, 0.0) for part in (u_low, z_low))
    u_high, z_high = (numpy.where(numpy.isfinite(z_high), part, 0.0) for part in (u_high, z_high))
    high_high, low_low, both = -r_high * (u_high + r_high), r_low * (u_low - r_low), r_high * r_low
    return _Derivatives(
        value=log_probability,
        a=r_low - r_high,
        g=r_high * z_high - r_low * z_low,
        aa=high_high + low_low + 2 * both,
        ag=-(high_high * z_high + low_low * z_low + both * (z_high + z_low)),
        gg=high_high * z_high**2 + low_low * z_low**2 + 2 * both * z_high * z_low,
    )


def _log_probability(low: Array, high: Array) -> Array:
    """Return ln(Φ(high) - Φ(low)), taken in the lower tail, where it keeps its digits."""
    upper = low > 0
    first, second = numpy.where(upper, -high, low), numpy.where(upper, -low, high)
    log_second = log_ndtr(second)
    return numpy.asarray(log_second + numpy.log(-numpy.expm1(log_ndtr(first) - log_second)))
