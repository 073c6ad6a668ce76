"""Squared norms of gradients: float32 elements, sums good to 1e-6, and no copy of the gradient."""

from collections.abc import Iterable

import torch
from torch import Tensor

# So many squares are added up in float32, at a relative error of some 1e-7; these sums are then added in float64.
STRETCH = 2**14
LARGE = 2 * STRETCH


def squared_norms(gradients: Iterable[Tensor]) -> Tensor:
    """Return the squared norm of each gradient, shape (gradients,), float64, on the device that all are on.

    A monitor takes these in training steps, so they must be quick: small gradients go through one call together, large
    ones on a CPU in stretches, since torch's own float32 norm of two million elements is wrong by 6e-5 there, which is
    seen where noise is a small difference of large norms, and sums in float64 throughout take five times as long.

    >>> squared_norms([torch.tensor([3.0, 4.0]), torch.tensor([[2.0]])]).tolist()
    [25.0, 4.0]
    """
    whole = [_dense(gradient) for gradient in gradients]
    small = [gradient for gradient in whole if not is_large(gradient)]
    squares = _together(small) if small else torch.zeros(0)
    if len(small) == len(whole):
        return squares
    in_order = iter(squares.unbind())
    return torch.stack([large_squared_norm(one) if is_large(one) else next(in_order) for one in whole])


def is_large(gradient: Tensor) -> bool:
    """Return whether a gradient is worth a call of its own."""
    return gradient.numel() > LARGE


def large_squared_norm(gradient: Tensor) -> Tensor:
    """Return Σ g² of one large gradient as a float64 scalar."""
    flat = _dense(gradient).reshape(-1)
    if flat.dtype != torch.float32 or flat.device.type != "cpu":
        norm: Tensor = torch.linalg.vector_norm(flat, dtype=torch.float64)
        return norm.square()
    n = flat.numel() // STRETCH * STRETCH
    norms = torch.linalg.vector_norm(flat[:n].view(-1, STRETCH), dim=1)
    total: Tensor = norms.double().square_().sum() + torch.dot(flat[n:], flat[n:])
    return total


def _together(gradients: list[Tensor]) -> Tensor:
    kinds = {gradient.dtype for gradient in gradients}
    # Low precision is widened before it is squared; float32 as it is takes a quicker path.
    wide = None if kinds == {torch.float32} else torch.float64
    return torch.stack(torch._foreach_norm(gradients, 2, wide)).double().square_()


def _dense(gradient: Tensor) -> Tensor:
    """Return what a gradient holds; of a sparse one the values, with those of repeated entries added up."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient
