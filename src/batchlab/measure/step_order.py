"""Two half-batches one after the other against both at once, matched to first order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from batchlab.measure.gradients import MeanLoss, loss_at, trained_parameters
from batchlab.measure.untouched import untouched


@dataclass(frozen=True, slots=True)
class StepOrder:
    """Loss after two sequential half-batch steps minus loss after one joint step, one entry a pair of half-batches.

    `same` is the loss on the two half-batches themselves and `held_out` on other examples; below 0 the sequence is
    better. The sequence is the mean of both orders.
    """

    learning_rate: float
    same: tuple[float, ...]
    held_out: tuple[float, ...]


def measure_step_order(
    model: nn.Module,
    mean_loss: MeanLoss,
    pairs: Iterable[tuple[Any, Any]],
    held_out: Any,
    *,
    learning_rate: float,
    seed: int | None = None,
) -> StepOrder:
    """Compare steps of plain gradient descent from one checkpoint; the model is left as found.

    From w, the joint step goes to w - η (g_a + g_b), and the sequence takes η g_a and then η g_b at the new place, or
    the other way round. To first order in η they are the same; to second, with the orders averaged, the sequence is
    η²/2 ∇(g_a·g_b) ahead: it seeks places where the two gradients agree. Without the match, η g_a + η g_b against
    η (g_a + g_b)/2, one would only see a difference of the learning rate.

    Args:
        model: at the parameters of interest; its mode is used as it is.
        mean_loss: `mean_loss(model, batch)`.
        pairs: fresh half-batches of one size.
        held_out: a batch that is in none of them.
        learning_rate: η, of each half-batch.
        seed: fixes dropout: it is set anew before every pass, so that pairs differ by their order alone.
    """
    parameters = trained_parameters(model)
    start = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    same, other = [], []
    with untouched(model, seed=seed), torch.enable_grad():
        at = _Elsewhere(loss_at(model, mean_loss), tuple(start), seed)
        for a, b in pairs:
            found = _differences(at, tuple(start.values()), (a, b), held_out, learning_rate)
            same.append(found[0])
            other.append(found[1])
    return StepOrder(learning_rate, tuple(same), tuple(other))


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Loss and gradient of a model at other values of its parameters."""

    loss_at: Callable[[Mapping[str, Tensor], Any], Tensor]
    names: tuple[str, ...]
    seed: int | None

    def gradient(self, values: Sequence[Tensor], batch: Any) -> tuple[Tensor, ...]:
        leaves = [value.detach().requires_grad_() for value in values]
        return torch.autograd.grad(self._loss(leaves, batch), leaves, allow_unused=True, materialize_grads=True)

    def loss(self, values: Sequence[Tensor], batch: Any) -> float:
        with torch.no_grad():
            return float(self._loss(values, batch))

    def _loss(self, values: Sequence[Tensor], batch: Any) -> Tensor:
        if self.seed is not None:
            torch.manual_seed(self.seed)
        return self.loss_at(dict(zip(self.names, values, strict=True)), batch)


def _differences(
    at: _Elsewhere, start: Sequence[Tensor], pair: tuple[Any, Any], held_out: Any, rate: float
) -> tuple[float, float]:
    a, b = pair
    g_a, g_b = at.gradient(start, a), at.gradient(start, b)
    joint = _moved(start, [x + y for x, y in zip(g_a, g_b, strict=True)], rate)
    after_a, after_b = _moved(start, g_a, rate), _moved(start, g_b, rate)
    ends = (_moved(after_a, at.gradient(after_a, b), rate), _moved(after_b, at.gradient(after_b, a), rate))

    def half_batches(values: Sequence[Tensor]) -> float:
        return (at.loss(values, a) + at.loss(values, b)) / 2

    sequential = [sum(measure(end) for end in ends) / 2 for measure in (half_batches, lambda v: at.loss(v, held_out))]
    return sequential[0] - half_batches(joint), sequential[1] - at.loss(joint, held_out)


def _moved(values: Sequence[Tensor], gradient: Sequence[Tensor], rate: float) -> list[Tensor]:
    return [value.detach() - rate * step for value, step in zip(values, gradient, strict=True)]
