"""The noisy quadratic model: gradient descent whose expected loss is known exactly, for any batch size."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from batchlab.simulate.crossing import first_step_below, first_step_in_chunks
from batchlab.simulate.linear_recursion import (
    LinearRecursion,
    mean_square_chunks,
    moments_after,
    stationary_variance,
)

Array = NDArray[numpy.float64]
Parts = tuple[Array, Array, Array]

MOST_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class TunedSteps:
    """The fewest steps to a target over learning rates, and the rate that takes them.

    Where several rates take equally few, it is the one with the lowest loss at that step. `at_edge` is True where it is
    the lowest or highest rate tried: the grid should then reach further, or a rate near divergence is best.
    """

    steps: int
    learning_rate: float
    at_edge: bool


@dataclass(frozen=True, slots=True)
class NoisyQuadratic:
    """The loss L = ½ Σ h_i θ_i², seen through gradients h_i θ_i + e_i with Var e_i = c_i/B (Zhang et al. 2019).

    Noise is independent of θ and of the step before, so the means and variances of all θ_i, and with them the expected
    loss, follow exactly. A target is on the expected loss; a single run crosses it at a random time.

    Optimizers are SGD (θ -= lr g), heavy ball (v = momentum v + g, θ -= lr v, as torch's), each with or without an
    exponential average of the iterates, φ = average_decay φ + (1 - average_decay) θ, started at θ and used for the
    loss. Any diagonal preconditioner is a change of variables: `preconditioned`.

    Args:
        curvature: h, above 0; the eigenvalues of the Hessian.
        noise_variance: c, of one example's gradient; not negative.
        start: θ at step 0.

    >>> model = NoisyQuadratic(curvature=[1.0, 0.1], noise_variance=[1.0, 0.1], start=[1.0, 1.0])
    >>> f"{model.expected_loss(0, 16, 0.5):.3f} {model.expected_loss(50, 16, 0.5):.4f}"
    '0.550 0.0115'
    >>> model.steps_to_target(16, 0.5, target=0.02)
    17
    """

    curvature: Sequence[float]
    noise_variance: Sequence[float]
    start: Sequence[float]

    def __post_init__(self) -> None:
        for name in ("curvature", "noise_variance", "start"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        _check_model(self)

    def preconditioned(self, preconditioner: Sequence[float]) -> "NoisyQuadratic":
        """Return the model seen by updates θ -= lr P g with the diagonal P > 0: in θ/√P it is a plain one again.

        Its curvature is h P, its noise c P and its start θ/√P; the loss is the same number.
        """
        values = _checked_preconditioner(preconditioner, len(self.curvature))
        h, c, theta = _arrays(self)
        return NoisyQuadratic(tuple(h * values), tuple(c * values), tuple(theta / numpy.sqrt(values)))

    def noise_scale(self, position: Sequence[float] | None = None) -> float:
        """Return B_simple = Σ c/Σ h²θ² at a position, by default the start."""
        h, c, theta = _arrays(self, position)
        return _ratio(c.sum(), (h**2 * theta**2).sum())

    def curvature_noise_scale(self, position: Sequence[float] | None = None) -> float:
        """Return B_noise = tr(HΣ)/(G'HG) = Σ h c/Σ h³θ² at a position, by default the start."""
        h, c, theta = _arrays(self, position)
        return _ratio((h * c).sum(), (h**3 * theta**2).sum())

    def expected_loss(
        self,
        n_steps: int,
        batch_size: float,
        learning_rate: float,
        momentum: float = 0.0,
        *,
        average_decay: float = 0.0,
    ) -> float:
        """Return E L after `n_steps`; infinite where it overflowed.

        SGD in closed form, E θ² = r^{2t} θ0² + v (1 - r^{2t}) with r = 1 - lr h and v = lr c/(B h (2 - lr h)); heavy
        ball and averages by powers of the exact recursion.
        """
        _check_run(batch_size, learning_rate, momentum, average_decay)
        parts = _arrays(self)
        if momentum == 0 and average_decay == 0:
            return _loss(parts, _second_moments(parts, n_steps, batch_size, learning_rate))
        mean, variance = moments_after(_recursion(self, batch_size, learning_rate, momentum, average_decay), n_steps)
        return _loss(parts, mean**2 + variance)

    def stationary_loss(
        self, batch_size: float, learning_rate: float, momentum: float = 0.0, *, average_decay: float = 0.0
    ) -> float:
        """Return E L after infinitely many steps; infinite where lr h >= 2 (1 + momentum) for any h."""
        _check_run(batch_size, learning_rate, momentum, average_decay)
        if learning_rate * max(self.curvature) >= 2 * (1 + momentum):
            return math.inf
        recursion = _recursion(self, batch_size, learning_rate, momentum, average_decay)
        return _loss(_arrays(self), stationary_variance(recursion))

    def steps_to_target(
        self,
        batch_size: float,
        learning_rate: float,
        target: float,
        momentum: float = 0.0,
        *,
        average_decay: float = 0.0,
        most_steps: int = MOST_STEPS,
    ) -> int | None:
        """Return the first step at which E L <= target; None if there is none, or none within `most_steps`.

        The *first* crossing also where the loss rises again later, as it does where noise wins in the end or momentum
        oscillates. SGD: each E θ_i² goes one way from θ0² to its steady value, so the lower of its ends bounds the loss
        between any two steps, and halving finds the step. Heavy ball and averages: every step in turn, until the
        part of the loss that is noise, which never falls, is above the target.
        """
        _check_run(batch_size, learning_rate, momentum, average_decay)
        if momentum == 0 and average_decay == 0:
            return first_step_below(_lower_bound(self, batch_size, learning_rate), target, most_steps)
        recursion = _recursion(self, batch_size, learning_rate, momentum, average_decay)
        half_curvature = 0.5 * numpy.array(self.curvature)
        return first_step_in_chunks(mean_square_chunks(recursion, half_curvature), target, most_steps)

    def tuned_steps_to_target(
        self,
        batch_size: float,
        target: float,
        momentum: float = 0.0,
        *,
        average_decay: float = 0.0,
        learning_rates: Sequence[float] | None = None,
    ) -> TunedSteps | None:
        """Return the fewest steps to the target over constant learning rates; None where none reaches it.

        The default grid is 120 rates, log-spaced between 1e-3 (1 - momentum) and 1.99 (1 + momentum) over the largest
        curvature: 7 % apart for SGD, so that the steps are within a few per cent of the continuous optimum. Steps
        beyond 1,000,000 count as never.
        """
        rates = default_learning_rates(self, momentum) if learning_rates is None else tuple(learning_rates)
        best: int | None = None
        winners: list[float] = []
        # From the middle outward the first rates are good ones, and few steps have to be looked at for the rest.
        for rate in sorted(rates, key=lambda one: abs(math.log(one) - math.log(rates[len(rates) // 2]))):
            steps = self.steps_to_target(
                batch_size,
                rate,
                target,
                momentum,
                average_decay=average_decay,
                most_steps=MOST_STEPS if best is None else best,
            )
            if steps is not None:
                winners = [*winners, rate] if steps == best else [rate]
                best = steps
        if best is None:
            return None
        found = best
        losses = [
            self.expected_loss(found, batch_size, rate, momentum, average_decay=average_decay) for rate in winners
        ]
        rate = winners[losses.index(min(losses))]
        return TunedSteps(best, rate, at_edge=rate in (min(rates), max(rates)))


def harmonic_quadratic(n_dimensions: int) -> NoisyQuadratic:
    """Return the model usual in the literature: h_i = c_i = 1/i and θ_i(0) = 1.

    >>> harmonic_quadratic(3).noise_scale()
    1.34...
    """
    spectrum = tuple(1 / (i + 1) for i in range(n_dimensions))
    return NoisyQuadratic(spectrum, spectrum, (1.0,) * n_dimensions)


def default_learning_rates(model: NoisyQuadratic, momentum: float = 0.0) -> tuple[float, ...]:
    """Return the rates that `tuned_steps_to_target` tries."""
    ends = (1e-3 * (1 - momentum), 1.99 * (1 + momentum))
    return tuple((numpy.geomspace(*ends, 120) / max(model.curvature)).tolist())


def _arrays(model: NoisyQuadratic, position: Sequence[float] | None = None) -> Parts:
    theta = model.start if position is None else position
    return numpy.array(model.curvature), numpy.array(model.noise_variance), numpy.asarray(theta, dtype=float)


def _loss(parts: Parts, second_moments: Array) -> float:
    loss = 0.5 * float(parts[0] @ second_moments)
    return loss if math.isfinite(loss) else math.inf


def _ratio(noise: float, signal: float) -> float:
    return float(noise / signal) if signal > 0 else math.inf


def _lower_bound(model: NoisyQuadratic, batch_size: float, learning_rate: float) -> Callable[[float, float], float]:
    """Return the function that bounds the loss of SGD from a first to a last step from below."""
    parts = _arrays(model)

    def lower_bound(first: float, last: float) -> float:
        ends = [_second_moments(parts, step, batch_size, learning_rate) for step in {first, last}]
        return _loss(parts, ends[0] if len(ends) == 1 else numpy.minimum(*ends))

    return lower_bound


def _second_moments(parts: Parts, n_steps: float, batch_size: float, learning_rate: float) -> Array:
    """Return E θ² of SGD after n steps, which may be infinitely many."""
    h, c, theta = parts
    if n_steps == 0:
        return theta**2
    x = learning_rate * h
    with numpy.errstate(divide="ignore", over="ignore", invalid="ignore"):
        # ln r², accurate for the tiny x of flat directions; -inf where one step goes to the minimum.
        log_decay = 2 * numpy.where(x < 0.5, numpy.log1p(-numpy.minimum(x, 0.5)), numpy.log(numpy.abs(1 - x)))
        exponent = numpy.where(log_decay == 0, 0.0, n_steps * log_decay)
        decay = numpy.exp(exponent)
        # Σ_{k<n} r^{2k} with 1 - r² = x (2 - x).
        pulses = numpy.where(log_decay == 0, n_steps, -numpy.expm1(exponent) / (x * (2 - x)))
        # A direction without noise or without error must not turn an infinite factor into NaN.
        error, kick = theta**2, learning_rate**2 * c / batch_size
        return numpy.where(error == 0, 0.0, decay * error) + numpy.where(kick == 0, 0.0, kick * pulses)


def _recursion(
    model: NoisyQuadratic, batch_size: float, learning_rate: float, momentum: float, average_decay: float
) -> LinearRecursion:
    """Return the recursion of (v, θ, φ): v' = momentum v + h θ + e, θ' = θ - lr v', φ' = γ φ + (1 - γ) θ'."""
    h, c, theta = _arrays(model)
    step, kick = numpy.zeros((len(h), 3, 3)), numpy.zeros((len(h), 3))
    step[:, 0, 0], step[:, 0, 1] = momentum, h
    kick[:, 0] = numpy.sqrt(c / batch_size)
    step[:, 1] = -learning_rate * step[:, 0]
    step[:, 1, 1] += 1
    kick[:, 1] = -learning_rate * kick[:, 0]
    step[:, 2] = (1 - average_decay) * step[:, 1]
    step[:, 2, 2] += average_decay
    step[(c == 0) & (theta == 0)] = 0  # at rest forever, whatever the learning rate
    kick[:, 2] = (1 - average_decay) * kick[:, 1]
    return LinearRecursion(step, kick, numpy.stack([numpy.zeros_like(theta), theta, theta], axis=1))


def _check_model(model: NoisyQuadratic) -> None:
    h, c, theta = _arrays(model)
    if not 0 < len(h) == len(c) == len(theta):
        raise ValueError(
            "`curvature`, `noise_variance` and `start` must have one entry a dimension each, "
            f"got {len(h)}, {len(c)} and {len(theta)}; repeat a value where all are equal."
        )
    if not ((h > 0).all() and (c >= 0).all() and numpy.isfinite((h, c, theta)).all()):
        raise ValueError(
            "Curvatures must be above 0, noise variances not below 0, and all values finite, got a lowest curvature of "
            f"{h.min():g} and a lowest variance of {c.min():g}; leave out flat directions, which have no loss."
        )


def _checked_preconditioner(preconditioner: Sequence[float], n: int) -> Array:
    values = numpy.asarray(preconditioner, dtype=float)
    if values.shape != (n,) or not (numpy.isfinite(values) & (values > 0)).all():
        raise ValueError(
            f"`preconditioner` must be {n} finite values above 0, got {values.tolist()}; pass one a dimension."
        )
    return values


def _check_run(batch_size: float, learning_rate: float, momentum: float, average_decay: float) -> None:
    if not (0 < batch_size and 0 < learning_rate < math.inf):
        raise ValueError(
            f"Batch size and learning rate must be above 0, got {batch_size} and {learning_rate}; "
            "use `math.inf` as batch size for gradients without noise."
        )
    if not (0 <= momentum < 1 and 0 <= average_decay < 1):
        raise ValueError(
            f"`momentum` and `average_decay` must lie in [0, 1), got {momentum} and {average_decay}; use 0.0 for none."
        )
