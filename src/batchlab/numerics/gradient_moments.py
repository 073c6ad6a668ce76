"""Noise and signal of one block of gradients taken at the same parameters, each without bias.

Throughout, gradients are of the *mean* loss over the stated examples, before clipping and without weight decay; G is
the true gradient, Σ the covariance of one example's gradient. Norms are Euclidean; squares are summed in float64.

The same estimators serve two other noise scales if they are given other squared norms:

- *Preconditioned* (Adam): multiply every element by √P before squaring, P = 1/(√v̂ + eps) from the step before (this
  step's v would share its noise). The ratio is then tr(PΣ)/(G'PG), the noise scale where P is about the inverse
  Hessian.
- *Hessian-weighted*: with `trace` an unbiased tr(HΣ) and `signal` an unbiased G'HG, `estimate_noise_scale` gives
  tr(HΣ)/(G'HG). For independent gradients g1, g2 of batches of b examples these are b/2 (g1 - g2)'H(g1 - g2) and
  g1'Hg2; one batch in both places would bias the second upward.
"""

import math
from collections.abc import Iterable

import numpy
from numpy.typing import ArrayLike


def noise_moments(
    micro_batch_sq_norms: ArrayLike,
    mean_gradient_sq_norm: float,
    micro_batch_sizes: ArrayLike,
    *,
    n_data: int | None = None,
) -> tuple[float, float]:
    """Return unbiased estimates of tr(Σ) and |G|² from the micro-batches of one step.

    With micro-batches of b_a examples, n = Σ b_a, and ḡ the mean of their gradients weighted by b_a,

        trace = Σ b_a |g_a - ḡ|²/(A - 1) = (Σ b_a |g_a|² - n |ḡ|²)/(A - 1)
        signal = |ḡ|² - trace/n,

    which for equal sizes are b A/(A - 1) (q - |ḡ|²) and (A |ḡ|² - q)/(A - 1), q the mean of the squared norms
    (McCandlish et al. 2018, App. A.1). Examples are drawn independently. The signal may come out negative; it must be
    averaged as it is, and the ratio taken at the very end (`estimate_noise_scale`).

    Args:
        micro_batch_sq_norms: |g_a|², shape (micro-batches,), at least 2.
        mean_gradient_sq_norm: |ḡ|².
        micro_batch_sizes: b_a in examples, shape (micro-batches,), or one size for all.
        n_data: N, if the micro-batches were drawn without replacement from N examples and the gradient wanted is that
            of these N. The trace is then that of the covariance with divisor N - 1, and trace/N is added to the
            signal, which is otherwise that of the population the N were drawn from.

    Raises:
        ValueError: The arguments cannot be squared norms and sizes of two or more micro-batches.

    >>> noise_moments([2.0, 4.0], 2.5, [1, 1])
    (1.0, 2.0)
    >>> noise_moments([2.0, 4.0], 2.5, 8)
    (8.0, 2.0)
    """
    norms = numpy.asarray(micro_batch_sq_norms, dtype=float)
    sizes = numpy.asarray(micro_batch_sizes, dtype=float)
    if norms.ndim != 1 or norms.size < 2 or sizes.shape not in ((), norms.shape):
        raise ValueError(
            "The noise is the scatter of two or more micro-batches of known sizes, got squared norms of shape "
            f"{norms.shape} and sizes of shape {sizes.shape}; split the step into more micro-batches."
        )
    _check_sq_norms(numpy.append(norms, mean_gradient_sq_norm))
    _check_sizes(sizes)
    sizes = numpy.broadcast_to(sizes, norms.shape)
    n = float(sizes.sum())
    _check_n_data(n_data, n)
    trace = (float(sizes @ norms) - n * mean_gradient_sq_norm) / (norms.size - 1)
    return trace, mean_gradient_sq_norm - trace / n + (trace / n_data if n_data else 0.0)


def noise_moments_two_sizes(
    small_sq_norm: float, large_sq_norm: float, small: float, large: float, *, n_data: int | None = None
) -> tuple[float, float]:
    """Return unbiased estimates of tr(Σ) and |G|² from squared norms at two batch sizes.

    With q and Q the squared norms at sizes b < B (McCandlish et al. 2018, App. A.1),

        trace = (q - Q)/(1/b - 1/B),   signal = (B Q - b q)/(B - b).

    The two batches may be independent or one within the other. Where several small batches were measured pass the mean
    of their squared norms, not one of them: with 16 the variance of the trace is 21 times smaller. Both results
    may be negative here.

    Args:
        small_sq_norm, large_sq_norm: q and Q.
        small, large: b and B, in examples.
        n_data: as in `noise_moments`.

    >>> noise_moments_two_sizes(3.0, 2.5, 1, 2)
    (1.0, 2.0)
    """
    _check_sq_norms(numpy.array([small_sq_norm, large_sq_norm]))
    if not 0 < small < large < math.inf:
        raise ValueError(
            f"`small` and `large` must be batch sizes with small < large, got {small} and {large}; "
            "measure at two different batch sizes."
        )
    _check_n_data(n_data, large)
    trace = (small_sq_norm - large_sq_norm) / (1 / small - 1 / large)
    signal = (large * large_sq_norm - small * small_sq_norm) / (large - small)
    return trace, signal + (trace / n_data if n_data else 0.0)


def add_noise_moments(parts: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return trace and signal of a whole model from those of its layers, or of its shards.

    Squared norms of disjoint sets of parameters add, so numerators and denominators are summed; a mean of the layers'
    ratios is not the model's noise scale. Parameters that several shards hold must be counted once.

    >>> add_noise_moments([(8.0, 2.0), (1.0, -0.5)])
    (9.0, 1.5)
    """
    traces, signals = zip(*parts, strict=True)
    return math.fsum(traces), math.fsum(signals)


def _check_sq_norms(sq_norms: numpy.ndarray) -> None:
    if not (numpy.isfinite(sq_norms) & (sq_norms >= 0)).all():
        wrong = float(sq_norms[~(numpy.isfinite(sq_norms) & (sq_norms >= 0))][0])
        raise ValueError(
            f"Squared norms must be finite and not negative, got {wrong}; skip steps whose gradient is not finite."
        )


def _check_sizes(sizes: numpy.ndarray) -> None:
    if not (numpy.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(
            f"`micro_batch_sizes` must be above 0, got {sizes.tolist()}; leave out the micro-batches that were empty."
        )


def _check_n_data(n_data: int | None, n: float) -> None:
    if n_data is not None and n_data < n:
        raise ValueError(
            f"`n_data` ({n_data}) must be at least the {n:g} examples drawn from it without replacement; "
            "pass None for examples drawn with replacement."
        )
