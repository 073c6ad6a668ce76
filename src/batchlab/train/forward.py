"""The loss of a batch, as a mean and the number it is a mean over."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from batchlab.workload import Workload

Forward = Callable[[Any, int], tuple[Tensor, Any]]
AUTOCAST_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def forward_of(workload: Workload, model: nn.Module, device: str) -> Forward:
    """Return the function of (batch, number of examples) that gives (mean loss, count).

    The count is the number of examples, or what the workload's own `step` counts, as tokens; the model runs under the
    workload's autocast.
    """
    if workload.step is not None:
        own = workload.step

        def forward(batch: Any, n_examples: int) -> tuple[Tensor, Any]:
            loss_sum, count = own(model, batch)
            return loss_sum / count, count
    else:
        loss = loss_on(workload, device)

        def forward(batch: Any, n_examples: int) -> tuple[Tensor, Any]:
            inputs, targets = batch
            return loss(model(inputs), targets), n_examples

    return under_autocast(workload, device, forward)


def loss_on(workload: Workload, device: str) -> Callable[..., Any]:
    """Return the workload's loss; where it is a module, its class weights and the like are put on the device."""
    loss = workload.loss
    return copy.deepcopy(loss).to(device) if isinstance(loss, nn.Module) and device != "cpu" else loss


def under_autocast(workload: Workload, device: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, run in the workload's mixed precision; the very function where it wants none."""
    if workload.autocast is None:
        return function
    context = torch.autocast(device.partition(":")[0], AUTOCAST_TYPES[workload.autocast])

    def mixed(*arguments: Any) -> Any:
        with context:
            return function(*arguments)

    return mixed
