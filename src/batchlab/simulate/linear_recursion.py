"""Exact mean and variance of linear recursions driven by noise, many independent ones at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]

# A chunk of 2^6 steps: long enough that numpy's overhead is spread, short enough that an early crossing costs little.
CHUNK_DOUBLINGS = 6


@dataclass(frozen=True, slots=True)
class LinearRecursion:
    """z' = step z + kick e with independent e ~ (0, 1), from a known z; the last component is the one looked at.

    Shapes: `step` (coordinates, k, k), `kick` and `start` (coordinates, k).
    """

    step: Array
    kick: Array
    start: Array


def moments_after(recursion: LinearRecursion, n_steps: int) -> tuple[Array, Array]:
    """Return mean and variance of the last component after n steps, each of shape (coordinates,).

    The mean is step^n start, the covariance Σ_{j<n} step^j kick kick' step^j'; both by repeated squaring, in log2(n)
    matrix products.
    """
    power, spread = recursion.step, _outer(recursion.kick)
    total = numpy.broadcast_to(numpy.eye(power.shape[-1]), power.shape)
    covariance = numpy.zeros_like(power)
    with numpy.errstate(over="ignore", invalid="ignore"):
        while n_steps:
            if n_steps % 2:
                covariance = _carried(power, covariance) + spread
                total = power @ total
            n_steps //= 2
            if n_steps:
                spread = _carried(power, spread) + spread
                power = power @ power
        mean = (total[:, -1, :] * recursion.start).sum(axis=1)
    return mean, covariance[:, -1, -1]


def stationary_variance(recursion: LinearRecursion) -> Array:
    """Return the variance of the last component after many steps, shape (coordinates,); all must be stable.

    Solves S = step S step' + kick kick' as k² linear equations.
    """
    n, k, _ = recursion.step.shape
    kron = numpy.einsum("nij,nkl->nikjl", recursion.step, recursion.step).reshape(n, k * k, k * k)
    spread = _outer(recursion.kick).reshape(n, k * k, 1)
    return numpy.asarray(numpy.linalg.solve(numpy.eye(k * k) - kron, spread)[:, -1, 0])


def mean_square_chunks(recursion: LinearRecursion, weights: Array) -> Iterator[tuple[Array, float]]:
    """Yield Σ weights E(last component)² at steps 0 to 63, 64 to 127 and so on, and a floor under all later ones.

    The floor is the variance part at the end of the chunk: a sum of ever more squares, it never falls, whether or not
    the recursion is stable.

    Args:
        recursion: coordinates in any number.
        weights: not negative, shape (coordinates,).
    """
    with numpy.errstate(over="ignore", invalid="ignore"):
        rows, power, spread = _rows(recursion)
        rows = rows * numpy.sqrt(weights)[:, None, None]
        pulses = ((rows * recursion.kick[:, None, :]).sum(axis=2) ** 2).sum(axis=0)
        fresh = numpy.concatenate([[0.0], numpy.cumsum(pulses)[:-1]])
        mean, covariance = recursion.start, numpy.zeros_like(power)
        while True:
            variance = fresh + ((rows @ covariance) * rows).sum(axis=(0, 2))
            drift = ((rows @ mean[:, :, None])[:, :, 0] ** 2).sum(axis=0)
            yield drift + variance, float(variance[-1])
            mean = (power @ mean[:, :, None])[:, :, 0]
            covariance = _carried(power, covariance) + spread


def _rows(recursion: LinearRecursion) -> tuple[Array, Array, Array]:
    """Return the last row of step^j for each j of a chunk, step^chunk, and the covariance that a chunk adds."""
    power, spread = recursion.step, _outer(recursion.kick)
    rows = numpy.zeros((len(power), 1, power.shape[-1]))
    rows[:, 0, -1] = 1.0
    for _ in range(CHUNK_DOUBLINGS):
        rows = numpy.concatenate([rows, rows @ power], axis=1)
        spread = _carried(power, spread) + spread
        power = power @ power
    return rows, power, spread


def _outer(kick: Array) -> Array:
    return kick[:, :, None] * kick[:, None, :]


def _carried(power: Array, covariance: Array) -> Array:
    return numpy.asarray(power @ covariance @ power.transpose(0, 2, 1))
