"""Trace and signal of one optimizer step, from whatever weights its micro-batches were given."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed

from batchlab.numerics.gradient_moments import noise_moments_two_sizes

Moments = tuple[float, float]


@dataclass(slots=True)
class StepSums:
    """Sums over the micro-batches of one step: of v |w g|²/w² by layer, v, v/b, v²/b, and examples.

    b is the number of examples of a micro-batch, g the gradient of its mean loss, v = w the factor that loss had.
    """

    sq_norms: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    weight: float = 0.0
    weight_over_size: float = 0.0
    square_over_size: float = 0.0
    n_examples: float = 0.0
    n_micro_batches: float = 0.0

    def add(self, sq_norms: Tensor, n_examples: int, loss_weight: float) -> None:
        """Add a micro-batch, given the squared norms of the gradients as they came."""
        self.sq_norms = self.sq_norms + sq_norms / loss_weight
        self.weight += loss_weight
        self.weight_over_size += loss_weight / n_examples
        self.square_over_size += loss_weight**2 / n_examples
        self.n_examples += n_examples
        self.n_micro_batches += 1


def step_moments(
    sums: StepSums, final_sq_norms: Tensor, *, scale: float = 1.0, group: distributed.ProcessGroup | None = None
) -> tuple[tuple[Moments, ...] | None, StepSums]:
    """Return (trace, signal) by layer, and the sums over all workers; None where a gradient is not finite.

    The accumulated gradient is Σ v g, so with V = Σ v

        q = Σ v |g|²/V        E q = |G|² + tr(Σ) (Σ v/b)/V
        Q = |Σ v g|²/V²       E Q = |G|² + tr(Σ) (Σ v²/b)/V²

    and the two-size estimators apply at the sizes V/Σ(v/b) and V²/Σ(v²/b). For v in proportion to b they are
    `noise_moments` exactly; for other weights, such as those of a short last micro-batch that counts in full, they are
    unbiased all the same, and no buffer is needed for a gradient with other weights than the one that was accumulated.

    Args:
        sums: of this worker.
        final_sq_norms: |accumulated gradient|² by layer, after the workers' gradients were averaged.
        scale: the factor of mixed precision, in all gradients.
        group: of the workers.
    """
    workers = 1
    if group is not None:
        workers = distributed.get_world_size(group)
        sums = _over_workers(sums, group)
    n_layers = len(final_sq_norms)
    numbers = (torch.cat([sums.sq_norms, final_sq_norms.to(sums.sq_norms.device)]) / scale**2).tolist()
    if not all(map(_finite, numbers)):
        return None, sums
    small = sums.weight / sums.weight_over_size
    large = sums.weight**2 / sums.square_over_size
    if sums.n_micro_batches < 2:
        return (), sums
    pairs = zip(numbers[:n_layers], numbers[n_layers:], strict=True)
    found = tuple(
        noise_moments_two_sizes(q / sums.weight, workers**2 * total / sums.weight**2, small, large)
        for q, total in pairs
    )
    return found, sums


def _over_workers(sums: StepSums, group: distributed.ProcessGroup) -> StepSums:
    """Return the sums over all workers, with one small reduction."""
    rest = (sums.weight, sums.weight_over_size, sums.square_over_size, sums.n_examples, sums.n_micro_batches)
    packed = torch.cat([sums.sq_norms, sums.sq_norms.new_tensor(rest)])
    distributed.all_reduce(packed, group=group)
    return StepSums(packed[: -len(rest)], *packed[-len(rest) :].tolist())


def _finite(number: float) -> bool:
    return abs(number) < float("inf")


def layer_sums(sq_norms: Tensor, places: Sequence[int], n_layers: int) -> Tensor:
    """Return squared norms of layers from those of their parameters."""
    where = torch.tensor(places, device=sq_norms.device)
    return sq_norms.new_zeros(n_layers).index_add_(0, where, sq_norms)
