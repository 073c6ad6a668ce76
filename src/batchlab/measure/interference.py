"""Dot products of the gradients of single examples: do the examples of one batch pull the same way?"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from batchlab.measure.batches import count_examples
from batchlab.measure.gradients import MeanLoss, trained_parameters
from batchlab.measure.per_example import DEFAULT_CHUNK, per_example_gradients

# Elements of per-example gradients held at a time: 256 MiB in float32.
MOST_ELEMENTS = 2**26


def gradient_gram(model: nn.Module, mean_loss: MeanLoss, batch: Any, *, chunk_size: int = DEFAULT_CHUNK) -> Tensor:
    """Return g_i·g_j of all pairs of examples, shape (examples, examples), float64 on the CPU.

    Goes through the parameters in groups that fit into memory, with a backward pass for each; `pairwise_interference`
    makes statistics of it. For 64 to 512 examples.

    Args:
        model: left as found; its mode is used as it is.
        mean_loss: `mean_loss(model, batch)`.
        batch: tensors, or tuples and dictionaries of them, with the examples first.
        chunk_size: examples at a time in the backward pass.

    Raises:
        WorkloadError: a batch normalization in training mode makes single examples' gradients meaningless.

    >>> from batchlab.measure.gradients import mean_loss_of
    >>> model = nn.Linear(2, 1, bias=False)
    >>> batch = torch.eye(2), model(torch.eye(2)).detach() - 0.5
    >>> gradient_gram(model, mean_loss_of(nn.functional.mse_loss), batch).round(decimals=5).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    n = count_examples(batch)
    gram = torch.zeros(n, n, dtype=torch.float64)
    for names in _groups(trained_parameters(model), n):
        gradients = per_example_gradients(model, mean_loss, batch, names=names, chunk_size=chunk_size)
        for gradient in gradients.values():
            flat = gradient.flatten(1)
            gram += (flat @ flat.T).double().cpu()
    # Products of a float32 matrix with itself are symmetric but for the last digits.
    return (gram + gram.T) / 2


def _groups(parameters: Mapping[str, Tensor], n: int) -> Iterator[tuple[str, ...]]:
    """Yield names of parameters whose per-example gradients fit into memory together; at least one."""
    group: list[str] = []
    held = 0
    for name, parameter in parameters.items():
        needed = n * parameter.numel()
        if group and held + needed > MOST_ELEMENTS:
            yield tuple(group)
            group, held = [], 0
        group.append(name)
        held += needed
    yield tuple(group)
