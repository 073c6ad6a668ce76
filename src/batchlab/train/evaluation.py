"""Loss and metric of a model over a whole split."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from batchlab.workload import Workload

CHUNK = 2048


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode; each of its modules gets its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@torch.no_grad()
def evaluate(model: nn.Module, workload: Workload, split: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Return the mean loss and mean metric over `split`, in evaluation mode; the model's mode is left as found.

    Chunks are weighted by their number of examples, so that a short last chunk counts as what it is.
    """
    loss_sum = metric_sum = 0.0
    inputs, targets = split
    with evaluation_mode(model):
        for begin in range(0, len(inputs), CHUNK):
            chunk = slice(begin, begin + CHUNK)
            outputs, wanted = model(inputs[chunk]), targets[chunk]
            loss_sum += float(workload.loss(outputs, wanted)) * len(wanted)
            metric_sum += float(workload.metric.function(outputs, wanted)) * len(wanted)
    return loss_sum / len(inputs), metric_sum / len(inputs)
