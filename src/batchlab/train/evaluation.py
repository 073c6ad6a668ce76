"""Loss and metric of a model over a whole split."""

import torch
from torch import Tensor, nn

from batchlab.workload import Workload

CHUNK = 2048


@torch.no_grad()
def evaluate(model: nn.Module, workload: Workload, split: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Return the mean loss and mean metric over `split`, in evaluation mode; the model's mode is left as found.

    Chunks are weighted by their number of examples, so that a short last chunk counts as what it is.
    """
    was_training = model.training
    model.eval()
    loss_sum = metric_sum = 0.0
    inputs, targets = split
    for begin in range(0, len(inputs), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        outputs, wanted = model(inputs[chunk]), targets[chunk]
        loss_sum += float(workload.loss(outputs, wanted)) * len(wanted)
        metric_sum += float(workload.metric.function(outputs, wanted)) * len(wanted)
    model.train(was_training)
    return loss_sum / len(inputs), metric_sum / len(inputs)
