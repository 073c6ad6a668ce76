"""Squared norms of per-example gradients from what goes into a layer and what comes back, without the gradients.

A layer sees inputs a and the gradient δ of the loss with respect to its outputs. Of a mean loss over n examples δ is
1/n of the example's own, so norms are multiplied by n². The forms, for one example with T positions (one for a plain
vector, a pixel each for a convolution, whose inputs are unfolded into patches):

    linear      |Σ_t δ_t a_t'|², or the equal Σ_ts (a_t·a_s)(δ_t·δ_s), whichever takes fewer operations
    bias        |Σ_t δ_t|²
    scale       |Σ_t δ_t x̂_t|² for the normalized inputs x̂ of LayerNorm and GroupNorm
    embedding   δ summed for each token, then squared

For T = 1 a linear layer gives |a|²|δ|²; for longer sequences that product is wrong. Weights that are used twice, by
two layers or in two calls, need their contributions added before squaring and have no closed form here.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from batchlab.measure.batches import count_examples
from batchlab.measure.gradients import MeanLoss

Form = Callable[[Any, Tensor, Tensor], Tensor]


class ClosedFormMissing(Exception):
    """Some parameter's norms have no closed form in this model."""


def has_closed_forms(model: nn.Module) -> bool:
    """Return whether each trained parameter belongs to one layer with a closed form."""
    owners = Counter(
        id(parameter) for module in model.modules() for parameter in _own(module) if parameter.requires_grad
    )
    known = all(type(module) in FORMS for module in model.modules() if any(p.requires_grad for p in _own(module)))
    return known and max(owners.values(), default=0) == 1


def closed_sq_norms(model: nn.Module, mean_loss: MeanLoss, batch: Any) -> Tensor:
    """Return |g_i|² over all trained parameters, shape (examples,), float64.

    Right for losses that are plain means over the examples, in models where each weight is used once.

    Raises:
        ClosedFormMissing: a layer has none, was called twice or not with the examples in the first dimension.
    """
    if not has_closed_forms(model):
        raise ClosedFormMissing("a trained parameter belongs to no known layer, or to two")
    n = count_examples(batch)
    seen: list[tuple[nn.Module, Tensor, Tensor]] = []
    layers = [module for module in model.modules() if any(p.requires_grad for p in _own(module))]
    handles = [layer.register_forward_hook(_recorder(seen, n)) for layer in layers]
    try:
        with torch.enable_grad():
            loss = mean_loss(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    if max(Counter(id(layer) for layer, _, _ in seen).values(), default=0) > 1:
        raise ClosedFormMissing("a layer was called twice")
    deltas = torch.autograd.grad(loss, [output for _, _, output in seen], allow_unused=True, materialize_grads=True)
    total = torch.zeros(n, dtype=torch.float64, device=loss.device)
    with torch.no_grad():
        for (layer, inputs, _), delta in zip(seen, deltas, strict=True):
            total += FORMS[type(layer)](layer, inputs, delta).double()
    return total * n**2


def _own(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))


def _recorder(seen: list[tuple[nn.Module, Tensor, Tensor]], n: int) -> Callable[[nn.Module, Any, Any], Tensor]:
    """Return the hook that notes a layer's inputs and outputs."""

    def record(layer: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        inputs = arguments[0]
        if inputs.shape[0] != n:
            raise ClosedFormMissing("a layer's inputs do not have the examples in their first dimension")
        seen.append((layer, inputs.detach(), output))
        # A copy goes on: a change in place, as by `ReLU(inplace=True)`, would change what was noted.
        return output.clone()

    return record


def _linear(layer: nn.Linear, inputs: Tensor, delta: Tensor) -> Tensor:
    return _matrix_and_bias(layer, _positions(inputs), _positions(delta))


def _matrix_and_bias(layer: Any, a: Tensor, delta: Tensor) -> Tensor:
    """Return the norms of Σ_t δ_t a_t' and Σ_t δ_t for a of shape (n, T, in) and δ of shape (n, T, out)."""
    total = torch.zeros(len(a), device=a.device, dtype=delta.dtype)
    if layer.weight.requires_grad:
        n_positions, n_in, n_out = a.shape[1], a.shape[2], delta.shape[2]
        if n_positions == 1:
            total += a.square().sum(dim=(1, 2)) * delta.square().sum(dim=(1, 2))
        elif n_positions * (n_in + n_out) < n_in * n_out:
            total += ((a @ a.transpose(1, 2)) * (delta @ delta.transpose(1, 2))).sum(dim=(1, 2))
        else:
            total += (delta.transpose(1, 2) @ a).square().sum(dim=(1, 2))
    if layer.bias is not None and layer.bias.requires_grad:
        total += delta.sum(dim=1).square().sum(dim=1)
    return total


def _convolution(layer: nn.Conv2d, inputs: Tensor, delta: Tensor) -> Tensor:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str) or inputs.ndim != 4:
        raise ClosedFormMissing("a convolution pads in a way that is not known here")
    patches = functional.unfold(inputs, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    n, groups = len(inputs), layer.groups
    # Each group is a convolution of its own, whose examples are counted separately.
    a = patches.view(n * groups, -1, patches.shape[-1]).transpose(1, 2)
    norms = _matrix_and_bias(layer, a, delta.reshape(n * groups, delta.shape[1] // groups, -1).transpose(1, 2))
    return norms.view(n, groups).sum(dim=1)


def _embedding(layer: nn.Embedding, tokens: Tensor, delta: Tensor) -> Tensor:
    if layer.scale_grad_by_freq or layer.sparse or layer.max_norm is not None:
        raise ClosedFormMissing("an embedding has an option that is not known here")
    n = len(tokens)
    ids, rows = tokens.reshape(n, -1), delta.reshape(n, -1, delta.shape[-1])
    if layer.padding_idx is not None:
        rows = rows * (ids != layer.padding_idx).unsqueeze(-1)
    same = (ids.unsqueeze(1) == ids.unsqueeze(2)).to(rows.dtype)
    return (same * (rows @ rows.transpose(1, 2))).sum(dim=(1, 2))


def _layer_norm(layer: nn.LayerNorm, inputs: Tensor, delta: Tensor) -> Tensor:
    normalized = functional.layer_norm(inputs, layer.normalized_shape, eps=layer.eps)
    dims = tuple(range(1, inputs.ndim - len(layer.normalized_shape)))
    return _scale_and_shift(layer, normalized, delta, dims)


def _group_norm(layer: nn.GroupNorm, inputs: Tensor, delta: Tensor) -> Tensor:
    normalized = functional.group_norm(inputs, layer.num_groups, eps=layer.eps)
    return _scale_and_shift(layer, normalized, delta, tuple(range(2, inputs.ndim)))


def _scale_and_shift(layer: Any, normalized: Tensor, delta: Tensor, dims: tuple[int, ...]) -> Tensor:
    total = torch.zeros(len(delta), device=delta.device, dtype=delta.dtype)
    for parameter, part in ((layer.weight, delta * normalized), (layer.bias, delta)):
        if parameter is not None and parameter.requires_grad:
            total += (part.sum(dim=dims) if dims else part).flatten(1).square().sum(dim=1)
    return total


def _positions(tensor: Tensor) -> Tensor:
    """Return a tensor of shape (n, ..., features) as (n, T, features)."""
    return tensor.reshape(tensor.shape[0], -1, tensor.shape[-1])


FORMS: dict[type[nn.Module], Form] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.Embedding: _embedding,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
}
