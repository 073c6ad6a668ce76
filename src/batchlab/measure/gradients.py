"""Gradients of the mean loss of a batch, without touching `.grad`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

MeanLoss = Callable[[nn.Module, Any], Tensor]


def mean_loss_of(loss: Callable[[Any, Any], Tensor]) -> MeanLoss:
    """Return the function of (model, (inputs, targets)) that measurements take, from a loss of (outputs, targets).

    The loss must be a mean over the batch.
    """

    def mean_loss(model: nn.Module, batch: Any) -> Tensor:
        inputs, targets = batch
        return loss(model(inputs), targets)

    return mean_loss


def trained_parameters(model: nn.Module) -> dict[str, Parameter]:
    """Return the parameters that are trained, by name: shared ones once, frozen ones left out."""
    found = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not found:
        raise ValueError(
            "A model must have parameters that require a gradient to be measured, and all are frozen; call "
            "`requires_grad_()` on those that are trained."
        )
    return found


def layer_of(parameter_name: str) -> str:
    """Return the name of the module that holds a parameter; the model's own are under its empty name.

    >>> layer_of("blocks.0.norm.weight"), layer_of("scale")
    ('blocks.0.norm', '')
    """
    return parameter_name.rpartition(".")[0]


def batch_gradient(
    model: nn.Module, mean_loss: MeanLoss, parameters: Sequence[Tensor], batch: Any
) -> tuple[Tensor, ...]:
    """Return the gradient of the mean loss over the batch, one tensor a parameter; zeros where it plays no part."""
    with torch.enable_grad():
        loss = mean_loss(model, batch)
        return torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)


def loss_at(model: nn.Module, mean_loss: MeanLoss) -> Callable[[Mapping[str, Tensor], Any], Tensor]:
    """Return the mean loss as a function of (parameters by name, batch); the model's own parameters stay as they are.

    Parameters that are not named keep their values.
    """
    whole = _WithLoss(model, mean_loss)

    def loss(values: Mapping[str, Tensor], batch: Any) -> Tensor:
        named = {f"model.{name}": value for name, value in values.items()}
        found: Tensor = torch.func.functional_call(whole, named, (batch,))
        return found

    return loss


class _WithLoss(nn.Module):
    """A model whose output is its loss, so that parameters can be replaced for all that `mean_loss` does."""

    def __init__(self, model: nn.Module, mean_loss: MeanLoss) -> None:
        super().__init__()
        self.model, self.mean_loss = model, mean_loss

    def forward(self, batch: Any) -> Tensor:
        return self.mean_loss(self.model, batch)
