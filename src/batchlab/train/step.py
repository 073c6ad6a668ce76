"""One optimizer step, the same in a trial and in the quiet pass that times it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from batchlab.records import TrialSettings
from batchlab.train.forward import Forward, forward_of
from batchlab.train.optimizers import bare_step, make_optimizer, trained_parameters
from batchlab.workload import Workload


@dataclass(slots=True)
class Stepper:
    """All that a step needs: the model, its loss, its optimizer, and what is done to gradients in between."""

    model: nn.Module
    forward: Forward
    optimizer: Optimizer
    bare_step: Callable[[], object]
    parameters: list[Parameter]
    clip_norm: float | None
    scaler: GradScaler | None
    counts_examples: bool


def make_stepper(workload: Workload, model: nn.Module, settings: TrialSettings) -> Stepper:
    """Return what makes the steps of a trial with these settings."""
    device = settings.device
    optimizer = make_optimizer(workload, model, settings.optimizer, settings.learning_rate, settings.optimizer_settings)
    return Stepper(
        model,
        forward_of(workload, model, device),
        optimizer,
        bare_step(optimizer),
        trained_parameters(model),
        workload.clip_norm,
        GradScaler(device.partition(":")[0]) if workload.autocast == "float16" else None,
        workload.step is None,
    )


def train_step(stepper: Stepper, chunks: Sequence[Tensor], read: Callable[[Tensor], Any]) -> tuple[Tensor, Any]:
    """Make one step on the examples at `chunks`, one forward pass each; return the sum of their loss and its count.

    With several chunks the gradient is that of one large batch: the sum of all losses over the sum of all counts, never
    a mean of means. Nothing here waits for the device.
    """
    for parameter in stepper.parameters:
        parameter.grad = None
    if len(chunks) == 1:
        loss, count = stepper.forward(read(chunks[0]), len(chunks[0]))
        _backward(stepper, loss)
        loss_sum = loss.detach() * count
    else:
        loss_sum, count = _accumulate(stepper, chunks, read)
    _update(stepper)
    return loss_sum, count


def _accumulate(stepper: Stepper, chunks: Sequence[Tensor], read: Callable[[Tensor], Any]) -> tuple[Any, Any]:
    """Add up the gradients of the chunks, weighted by their counts."""
    n_examples = sum(map(len, chunks))
    loss_sum: Any = 0.0
    total: Any = 0
    for chunk in chunks:
        loss, count = stepper.forward(read(chunk), len(chunk))
        _backward(stepper, loss * (count / n_examples))
        loss_sum, total = loss_sum + loss.detach() * count, total + count
    if not stepper.counts_examples:
        # How many tokens there are is known only now.
        for parameter in stepper.parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(n_examples / total)
    return loss_sum, total


def _backward(stepper: Stepper, loss: Tensor) -> None:
    (loss if stepper.scaler is None else stepper.scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]


def _update(stepper: Stepper) -> None:
    scaler = stepper.scaler
    if stepper.clip_norm is not None:
        if scaler is not None:
            scaler.unscale_(stepper.optimizer)
        clip_grad_norm_(stepper.parameters, stepper.clip_norm)
    if scaler is None:
        stepper.bare_step()
    else:
        scaler.step(stepper.optimizer)
        scaler.update()
