"""Gradients of single examples, and their squared norms, by the quickest way that is right for the model."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from batchlab.measure.batches import count_examples, in_chunks, map_tensors, single_examples
from batchlab.measure.closed_forms import ClosedFormMissing, closed_sq_norms, has_closed_forms
from batchlab.measure.coupling import check_uncoupled
from batchlab.measure.gradients import MeanLoss, batch_gradient, loss_at, trained_parameters
from batchlab.measure.squared_norms import squared_norms
from batchlab.measure.untouched import untouched

METHODS = ("auto", "closed", "vmap", "loop")
DEFAULT_CHUNK = 32
# On a CPU vmap writes out gradients that a loop holds one at a time: for models this large the loop is 1.3 to 4 times
# as fast (for small ones a tenth).
LOOP_FROM = 100_000
# How many examples the closed forms must get right before they are believed, and how nearly.
N_TRIED, TOLERANCE = 4, 1e-3


def per_example_gradients(
    model: nn.Module,
    mean_loss: MeanLoss,
    batch: Any,
    *,
    names: tuple[str, ...] | None = None,
    chunk_size: int = DEFAULT_CHUNK,
) -> dict[str, Tensor]:
    """Return the gradient of every example's own loss by parameter, each of shape (examples, *parameter).

    By `torch.func`: vmap over grad, `chunk_size` examples at a time; a loop over examples where that is faster, and
    where the model does something that vmap cannot. Dropout, if on, is drawn for each example. They need memory
    for examples times parameters: ask for some parameters at a time where that is much.

    Args:
        model: left as found; its mode is used as it is.
        mean_loss: `mean_loss(model, batch)`; of a batch of one it is that example's loss.
        batch: tensors, or tuples and dictionaries of them, with the examples first.
        names: of the parameters that are wanted; all that are trained by default.
        chunk_size: examples at a time.

    Raises:
        WorkloadError: a batch normalization in training mode makes them meaningless.

    >>> from batchlab.measure.gradients import mean_loss_of
    >>> batch = torch.eye(3), torch.zeros(3, 1)
    >>> per_example_gradients(nn.Linear(3, 1), mean_loss_of(nn.functional.mse_loss), batch)["weight"].shape
    torch.Size([3, 1, 3])
    """
    check_uncoupled(model)
    parameters = trained_parameters(model)
    wanted = {name: parameters[name] for name in (names or parameters)}
    with untouched(model):
        if not _loop_is_faster(wanted):
            try:
                return _by_vmap(model, mean_loss, wanted, batch, chunk_size)
            except RuntimeError as error:
                _check_not_memory(error)
        return _by_loop(model, mean_loss, wanted, batch)


def per_example_sq_norms(
    model: nn.Module, mean_loss: MeanLoss, batch: Any, *, method: str = "auto", chunk_size: int = DEFAULT_CHUNK
) -> Tensor:
    """Return |g_i|² of every example over all trained parameters, shape (examples,), float64.

    Closed forms take the norms from what goes in and out of each layer, without forming a gradient. They are right
    where every trained parameter belongs to one call of one known layer and the loss is a plain mean over examples:
    with "auto" they are used only if, on this very batch, the loss is such a mean and some examples' norms agree with
    plain gradients. Tied weights, weighted losses and unknown layers thus go to vmap.

    Args:
        model: left as found; its mode is used as it is.
        mean_loss: `mean_loss(model, batch)`.
        batch: tensors, or tuples and dictionaries of them, with the examples first.
        method: auto, closed (unchecked, raises where a layer has none), vmap or loop.
        chunk_size: examples at a time.

    Raises:
        WorkloadError: a batch normalization in training mode makes them meaningless.
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {', '.join(METHODS)}, got {method!r}; use 'auto'.")
    check_uncoupled(model)
    parameters = trained_parameters(model)
    with untouched(model):
        if method == "closed" or (method == "auto" and _closed_forms_agree(model, mean_loss, parameters, batch)):
            return torch.cat([closed_sq_norms(model, mean_loss, part) for part in in_chunks(batch, chunk_size)])
        if method == "vmap" or (method == "auto" and not _loop_is_faster(parameters)):
            try:
                parts = [
                    _norms_of(_by_vmap(model, mean_loss, parameters, part, chunk_size))
                    for part in in_chunks(batch, chunk_size)
                ]
                return torch.cat(parts)
            except RuntimeError as error:
                _check_not_memory(error)
                if method == "vmap":
                    raise
        return _norms_by_loop(model, mean_loss, parameters, batch)


def example_losses(model: nn.Module, mean_loss: MeanLoss, batch: Any) -> Tensor:
    """Return the loss of every example alone, shape (examples,)."""
    values = {name: parameter.detach() for name, parameter in model.named_parameters()}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop")
        try:
            losses: Tensor = torch.func.vmap(_loss_of_one(model, mean_loss), in_dims=(None, 0), randomness="different")(
                values, batch
            )
            return losses
        except RuntimeError as error:
            _check_not_memory(error)
            return torch.stack([mean_loss(model, example) for example in single_examples(batch)])


def _by_vmap(
    model: nn.Module, mean_loss: MeanLoss, parameters: Mapping[str, Tensor], batch: Any, chunk_size: int
) -> dict[str, Tensor]:
    values = {name: parameter.detach() for name, parameter in parameters.items()}
    gradient = torch.func.grad(_loss_of_one(model, mean_loss))
    one_by_one = torch.func.vmap(gradient, in_dims=(None, 0), randomness="different", chunk_size=chunk_size)
    with warnings.catch_warnings():
        # That an operation is slow under vmap is no news to a user.
        warnings.filterwarnings("ignore", "There is a performance drop")
        found: dict[str, Tensor] = one_by_one(values, batch)
    return found


def _loss_of_one(model: nn.Module, mean_loss: MeanLoss) -> Callable[[Mapping[str, Tensor], Any], Tensor]:
    """Return the loss of an example without its batch dimension, as a function of the parameters."""
    loss = loss_at(model, mean_loss)
    return lambda values, example: loss(values, map_tensors(lambda tensor: tensor.unsqueeze(0), example))


def _by_loop(model: nn.Module, mean_loss: MeanLoss, parameters: Mapping[str, Tensor], batch: Any) -> dict[str, Tensor]:
    rows = [batch_gradient(model, mean_loss, tuple(parameters.values()), one) for one in single_examples(batch)]
    return {name: torch.stack(column) for name, column in zip(parameters, zip(*rows, strict=True), strict=True)}


def _norms_by_loop(model: nn.Module, mean_loss: MeanLoss, parameters: Mapping[str, Tensor], batch: Any) -> Tensor:
    wanted = tuple(parameters.values())
    rows = [squared_norms(batch_gradient(model, mean_loss, wanted, one)).sum() for one in single_examples(batch)]
    return torch.stack(rows)


def _norms_of(gradients: Mapping[str, Tensor]) -> Tensor:
    norms = [gradient.flatten(1).double().square().sum(dim=1) for gradient in gradients.values()]
    return torch.stack(norms).sum(dim=0)


def _closed_forms_agree(model: nn.Module, mean_loss: MeanLoss, parameters: Mapping[str, Tensor], batch: Any) -> bool:
    """Return whether the closed forms are right for this model, loss and batch; compared without dropout."""
    if not has_closed_forms(model):
        return False
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        losses = example_losses(model, mean_loss, batch)
        with torch.no_grad():
            together = mean_loss(model, batch)
        if not torch.isclose(losses.mean(), together, rtol=TOLERANCE):
            return False
        step = max(1, count_examples(batch) // N_TRIED)
        some = map_tensors(lambda tensor: tensor[::step][:N_TRIED], batch)
        plain = _norms_by_loop(model, mean_loss, parameters, some)
        return torch.allclose(closed_sq_norms(model, mean_loss, some), plain, rtol=TOLERANCE)
    except ClosedFormMissing:
        return False
    finally:
        for module, mode in modes:
            module.training = mode


def _loop_is_faster(parameters: Mapping[str, Tensor]) -> bool:
    on_cpu = all(parameter.device.type == "cpu" for parameter in parameters.values())
    return on_cpu and sum(parameter.numel() for parameter in parameters.values()) > LOOP_FROM


def _check_not_memory(error: RuntimeError) -> None:
    """Raise the error where it is one of memory, for which another way is no help."""
    if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower():
        raise error
