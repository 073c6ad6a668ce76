"""Trace and signal of one optimizer step, from whatever weights its micro-batches were given."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy
import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from batchlab.adapt.workers import count_workers, sum_over_workers
from batchlab.numerics.gradient_moments import noise_moments_two_sizes

Moments = tuple[float, float]


@dataclass(slots=True)
class StepNorms:
    """What was noted of the micro-batches of one step: squared norms by parameter, examples, loss weights."""

    sq_norms: list[Tensor] = field(default_factory=list)
    n_examples: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, sq_norms: Tensor, n_examples: int, loss_weight: float) -> None:
        """Note a micro-batch, given the squared norms of the gradients as they came, shape (parameters,)."""
        self.sq_norms.append(sq_norms)
        self.n_examples.append(n_examples)
        self.weights.append(loss_weight)


@dataclass(frozen=True, slots=True)
class StepMoments:
    """(trace, signal) of a step by layer; none where it was one micro-batch, None where a gradient is not finite.

    `n_examples` and `n_micro_batches` are those of all workers.
    """

    by_layer: tuple[Moments, ...] | None
    n_examples: float
    n_micro_batches: float


def step_moments(
    noted: StepNorms,
    final_sq_norms: Tensor,
    layer_starts: Sequence[int] = (0,),
    *,
    scale: float = 1.0,
    group: ProcessGroup | None = None,
) -> StepMoments:
    """Return trace and signal by layer.

    With b the examples of a micro-batch, g the gradient of its mean loss and v the factor that loss had, the
    accumulated gradient is Σ v g, so with V = Σ v

        q = Σ v |g|²/V        E q = |G|² + tr(Σ) (Σ v/b)/V
        Q = |Σ v g|²/V²       E Q = |G|² + tr(Σ) (Σ v²/b)/V²

    and the two-size estimators apply at the sizes V/Σ(v/b) and V²/Σ(v²/b). For v in proportion to b they are
    `noise_moments` exactly; for other weights, such as those of a short last micro-batch that counts in full, they are
    unbiased all the same, and no buffer is needed for a gradient with other weights than the one that was accumulated.

    Args:
        noted: of this worker.
        final_sq_norms: |accumulated gradient|² by parameter, after the workers' gradients were averaged.
        layer_starts: at which parameter each layer begins.
        scale: the factor of mixed precision, in all gradients.
        group: of the workers.
    """
    # One transfer from the device for all norms of the step.
    norms = torch.stack([*noted.sq_norms, final_sq_norms]).cpu().numpy() / scale**2
    layers = numpy.add.reduceat(norms, layer_starts, axis=1)
    v, b = numpy.array(noted.weights), numpy.array(noted.n_examples, dtype=float)
    sums = numpy.array([v.sum(), (v / b).sum(), (v**2 / b).sum(), b.sum(), len(v)])
    own = numpy.concatenate([sums, (layers[:-1] / v[:, None]).sum(axis=0)])
    every = sum_over_workers(own, final_sq_norms.device, group)
    weight, weight_over_size, square_over_size, n_examples, n = every[: len(sums)].tolist()
    small, large = every[len(sums) :] / weight, count_workers(group) ** 2 * layers[-1] / weight**2
    found: tuple[Moments, ...] | None = ()
    if not (numpy.isfinite(small).all() and numpy.isfinite(large).all()):
        found = None
    elif n > 1:
        sizes = weight / weight_over_size, weight**2 / square_over_size
        found = tuple(
            noise_moments_two_sizes(q, total, *sizes) for q, total in zip(small.tolist(), large.tolist(), strict=True)
        )
    return StepMoments(found, n_examples, n)
