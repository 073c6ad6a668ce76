"""The gradient noise of a smaller batch size in the updates of a larger one, by random weights on its examples."""

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn

from batchlab.errors import WorkloadError
from batchlab.train.fitting import shape_of
from batchlab.train.forward import loss_on, under_autocast
from batchlab.train.reading import read_batch
from batchlab.workload import Workload
from batchlab.workloads.datasets import examples_in

SAMPLE, TOLERANCE = 8, 1e-2


def noise_weights(n_examples: int, noise_batch_size: int, generator: Generator) -> Tensor:
    """Return one weight an example: with them a batch's mean gradient scatters like that of a smaller batch.

    w_i = 1 + s (ξ_i - mean ξ), ξ standard normal, s² = (1/b - 1/B) B²/(B - 1). Their mean is exactly 1, so that the
    gradient stays unbiased, and E Σw² = B + s²(B - 1) gives it the covariance Σ/b, with and without replacement. Only
    these two moments are those of the smaller batch, and many weights are negative (35% at B = 8b).

    >>> weights = noise_weights(64, 8, torch.Generator().manual_seed(0))
    >>> round(float(weights.mean()), 6)
    1.0
    """
    if noise_batch_size >= n_examples:
        return torch.ones(n_examples)
    noise = torch.randn(n_examples, generator=generator, dtype=torch.float64)
    variance = (1 / noise_batch_size - 1 / n_examples) * n_examples**2 / (n_examples - 1)
    return (1 + math.sqrt(variance) * (noise - noise.mean())).float()


@torch.no_grad()
def takes_weights(workload: Workload, model: nn.Module, train: Any, device: str) -> bool:
    """Return whether examples can be weighted: the loss of some is the mean of their losses alone, each by its outputs.

    `model` is in evaluation mode. A loss that weighs classes, or compares examples, is none of that kind.
    """
    if workload.step is not None:
        return False
    try:
        batch = read_batch(workload, train, list(range(min(SAMPLE, examples_in(train)))), device)
        outputs, targets = under_autocast(workload, device, model)(batch[0]), batch[1]
        loss = under_autocast(workload, device, loss_on(workload, device))
        alone = [float(loss(outputs[i : i + 1], targets[i : i + 1])) for i in range(len(targets))]
        together = float(loss(outputs, targets))
    except Exception:
        return False
    fits = isinstance(outputs, Tensor) and len(outputs) == len(targets)
    return fits and abs(together - math.fsum(alone) / len(alone)) <= TOLERANCE * max(map(abs, alone))


class InjectedNoise:
    """Weights each example's part in the gradients of a model, as a hook on it; its losses stay as they are.

    Exact where the loss is a mean over examples of what the model puts out for each. The weights are those of a whole
    batch, whatever the parts in which it goes through.
    """

    def __init__(self, model: nn.Module, noise_batch_size: int, seed: int) -> None:
        """Hook into the model, which is weighted from now on wherever gradients are taken."""
        self._noise_batch_size = noise_batch_size
        self._generator = torch.Generator().manual_seed(seed)
        self._weights = torch.empty(0)
        model.register_forward_hook(self._weigh)

    def draw(self, n_examples: int) -> None:
        """Draw the weights of the next batch."""
        self._weights = noise_weights(n_examples, self._noise_batch_size, self._generator)

    def _weigh(self, model: nn.Module, inputs: Any, outputs: Any) -> None:
        if not torch.is_grad_enabled():
            return
        n_left = len(self._weights)
        if not isinstance(outputs, Tensor) or outputs.ndim == 0 or not len(outputs) <= n_left:
            raise WorkloadError(
                f"Noise is injected into a model that returns one tensor with an entry an example, but this one "
                f"returned {shape_of(outputs)} where {n_left} examples were left of the batch; leave the control out."
            )
        weights, self._weights = self._weights[: len(outputs)], self._weights[len(outputs) :]
        shaped = weights.view(-1, *(1 for _ in outputs.shape[1:]))
        outputs.register_hook(lambda gradient: gradient * shaped.to(gradient))  # type: ignore[no-untyped-call]
