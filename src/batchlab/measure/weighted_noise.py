"""Noise scales in other measures of length than the gradient's own: by an optimizer's preconditioner, by curvature."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from batchlab.measure.batches import count_examples
from batchlab.measure.gradients import MeanLoss, batch_gradient, trained_parameters
from batchlab.measure.squared_norms import squared_norms
from batchlab.measure.untouched import untouched
from batchlab.numerics.gradient_moments import noise_moments
from batchlab.numerics.noise_scale import NoiseScale, estimate_noise_scale


def adam_preconditioner(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Return P = 1/(√v̂ + eps) by parameter name, as Adam or AdamW has it after its last step.

    v̂ is the running mean of squared gradients, corrected for its start at 0. It is that of the steps before, so that
    it shares no noise with gradients that are drawn now.

    Raises:
        ValueError: a trained parameter has no such state.
    """
    groups = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    found = {}
    for name, parameter in trained_parameters(model).items():
        state = optimizer.state.get(parameter, {})
        if "exp_avg_sq" not in state:
            raise ValueError(
                "A preconditioner is read from an optimizer of the Adam family that has made a step with every trained "
                f"parameter, but {type(optimizer).__name__} keeps no squared gradients of {name!r}; train a step first."
            )
        group = groups[id(parameter)]
        corrected = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
        found[name] = 1 / (corrected.sqrt() + group["eps"])
    return found


def measure_preconditioned_noise(
    model: nn.Module,
    mean_loss: MeanLoss,
    micro_batches: Iterable[Any],
    preconditioner: Mapping[str, Tensor],
    *,
    micro_batches_per_block: int = 16,
    seed: int | None = None,
) -> NoiseScale:
    """Measure tr(PΣ)/(G'PG) with its interval: the noise scale of updates -η P g where P is near the inverse Hessian.

    Every element of a gradient is multiplied by √P before it is squared; then all is as in `measure_noise`. The general
    form for such updates is tr(PHPΣ)/(G'PHPG). The model is left as found.

    Args:
        model: at the parameters of interest.
        mean_loss: `mean_loss(model, batch)`, a mean over the batch.
        micro_batches: fresh ones, independent of P; a block cut short at their end is left out.
        preconditioner: P by parameter name, as from `adam_preconditioner`.
        micro_batches_per_block: as in `measure_noise`.
        seed: fixes dropout.
    """
    parameters = trained_parameters(model)
    roots = [preconditioner[name].sqrt() for name in parameters]
    moments = []
    with untouched(model, seed=seed):
        for block in _blocks(micro_batches, micro_batches_per_block):
            sizes = [count_examples(batch) for batch in block]
            total = [torch.zeros_like(root) for root in roots]
            norms = []
            for batch, size in zip(block, sizes, strict=True):
                scaled = torch._foreach_mul(batch_gradient(model, mean_loss, tuple(parameters.values()), batch), roots)
                torch._foreach_add_(total, scaled, alpha=size / sum(sizes))
                norms.append(float(squared_norms(scaled).sum()))
            moments.append(noise_moments(norms, float(squared_norms(total).sum()), sizes))
    return _estimated(moments, micro_batches_per_block)


def measure_curvature_noise(
    model: nn.Module,
    mean_loss: MeanLoss,
    batches: Iterable[Any],
    *,
    count: Callable[[Any], int] = count_examples,
    seed: int | None = None,
) -> NoiseScale:
    """Measure B_noise = tr(HΣ)/(G'HG) with its interval, the balance of a step of plain gradient descent.

    Such a step of length η with batches of B gains η|G|² - η²/2 (G'HG + tr(HΣ)/B) (McCandlish et al. 2018, section 2),
    so its best length is 1/(1 + B_noise/B) of that without noise. Of three independent batches of b examples, two give
    gradients and the third the Hessian H_3, by two products with it:

        trace = b/2 (g_1 - g_2)'H_3(g_1 - g_2),   signal = g_1'H_3 g_2,

    both unbiased; one batch in two of the places would bias them. A Hessian that bends both ways can make either
    negative, which the flags of the result then say. The model is left as found.

    Args:
        model: at the parameters of interest; every operation in it needs a second derivative. (One of a user's own that
            is marked `once_differentiable` counts as straight, without an error.)
        mean_loss: `mean_loss(model, batch)`, a mean over the batch.
        batches: fresh ones of one size, three for each block; what is left at their end is not used.
        count: the number of examples in a batch.
        seed: fixes dropout.
    """
    parameters = tuple(trained_parameters(model).values())
    moments = []
    with untouched(model, seed=seed):
        for first, second, third in _blocks(batches, 3):
            pair = [batch_gradient(model, mean_loss, parameters, batch) for batch in (first, second)]
            curved = _hessian_products(model, mean_loss, parameters, third, pair)
            across = _dot(pair[0], curved[1])
            apart = _dot(pair[0], curved[0]) + _dot(pair[1], curved[1]) - across - _dot(pair[1], curved[0])
            moments.append((count(first) / 2 * apart, across))
    return _estimated(moments, 3)


def _hessian_products(
    model: nn.Module,
    mean_loss: MeanLoss,
    parameters: Sequence[Tensor],
    batch: Any,
    vectors: Sequence[Sequence[Tensor]],
) -> list[tuple[Tensor, ...]]:
    """Return H v for each vector, H that of the mean loss of the batch."""
    with torch.enable_grad():
        loss = mean_loss(model, batch)
        slope = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True, materialize_grads=True)
        used = [(own, index) for index, own in enumerate(slope) if own.requires_grad]
        return [
            torch.autograd.grad(
                [own for own, _ in used],
                parameters,
                [vector[index] for _, index in used],
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            for vector in vectors
        ]


def _dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    return sum(float((x.double() * y.double()).sum()) for x, y in zip(a, b, strict=True))


def _blocks(batches: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield whole blocks of so many batches."""
    block: list[Any] = []
    for batch in batches:
        block.append(batch)
        if len(block) == size:
            yield block
            block = []


def _estimated(moments: list[tuple[float, float]], needed: int) -> NoiseScale:
    if not moments:
        raise ValueError(
            f"A noise scale needs one block of {needed} batches or more, got fewer; give more batches of some examples."
        )
    traces, signals = zip(*moments, strict=True)
    return estimate_noise_scale(traces, signals)
