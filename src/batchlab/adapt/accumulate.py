"""The gradient of a batch that does not fit, out of micro-batches that do."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from batchlab.measure.batches import count_examples, in_chunks
from batchlab.measure.coupling import coupling_module
from batchlab.measure.out_of_memory import is_out_of_memory, release_memory


@dataclass(frozen=True, slots=True)
class Accumulated:
    """What came of a batch: its mean loss (on the device), what that is a mean over, and how it was split.

    `micro_batch_size` is what the next batch should begin with: smaller than asked for where memory was short.
    """

    loss: Tensor
    count: Any
    micro_batch_size: int
    n_micro_batches: int


def accumulate(
    model: nn.Module,
    loss: Callable[[Any], Any],
    batch: Any,
    micro_batch_size: int | None = None,
    *,
    scale: Callable[[Tensor], Tensor] | None = None,
) -> Accumulated:
    """Put the gradient of the whole batch's mean loss into `.grad`, one micro-batch at a time, and return that loss.

    The gradient is that of one large batch, Σ loss_i / Σ n_i over all of it, never a mean of means, in which a short
    last micro-batch, or one with few tokens, weighs too much. `.grad` is replaced: nothing is to be zeroed before, and
    clipping, unscaling and the step come once, after. Batch normalization sees micro-batches, so that with it the
    result differs; a warning says so.

    Where memory does not suffice the batch begins again with micro-batches of half the size, down to single examples;
    running statistics and random numbers have moved on by then. With DistributedDataParallel gradients are exchanged
    once and are those of the batch over all workers, each of which must split alike: there a lack of memory is raised.

    Args:
        model: whose parameters get the gradient.
        loss: `loss(micro_batch)` gives the mean loss of its examples; or (loss_sum, count) where the mean is over
            something else, as tokens that are not padding, or the sum of class weights by which
            `nn.CrossEntropyLoss(weight=...)` divides.
        batch: tensors with the examples in their first dimension, or tuples, lists and dictionaries of them.
        micro_batch_size: examples per forward pass; the whole batch by default.
        scale: of mixed precision, `scaler.scale`.

    Raises:
        MemoryError, RuntimeError: not even a single example fits.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> inputs = torch.tensor([[1.0], [1.0], [1.0], [5.0]])
    >>> done = accumulate(model, lambda micro: model(micro).mean(), inputs, micro_batch_size=3)
    >>> model.weight.grad.item(), done.n_micro_batches
    (2.0, 2)
    """
    if isinstance(batch, Mapping):
        batch = dict(batch)
    n_examples = count_examples(batch)
    size = min(n_examples, micro_batch_size or n_examples)
    if size < 1:
        raise ValueError(f"`micro_batch_size` is a whole number of at least 1, got {micro_batch_size}; use 1 or more.")
    while True:
        for parameter in model.parameters():
            parameter.grad = None
        try:
            parts = list(in_chunks(batch, size))
            total, count = _all_backward(model, loss, parts, scale or _itself)
            break
        except (MemoryError, RuntimeError) as error:
            if size == 1 or isinstance(model, DistributedDataParallel) or not is_out_of_memory(error):
                raise
        # Only here: the exception held the tensors of the attempt.
        size = (size + 1) // 2
        release_memory()
    _warn_of_coupling(model, size, n_examples)
    return Accumulated(total / count, count, size, len(parts))


def _all_backward(
    model: nn.Module, loss: Callable[[Any], Any], parts: Sequence[Any], scale: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Any]:
    """Return the sum of all losses and their count; gradients are those of the mean."""
    sizes = [count_examples(part) for part in parts]
    divisor = _mean_over_workers(model, sum(sizes))
    total: Any = 0.0
    count: Any = 0
    counts_examples = True
    for number, (part, n) in enumerate(zip(parts, sizes, strict=True), start=1):
        with _exchanging(model, number == len(parts)):
            found = loss(part)
            counts_examples = not isinstance(found, tuple)
            loss_sum, n_counted = (found * n, n) if counts_examples else found
            scale(loss_sum / divisor).backward()  # type: ignore[no-untyped-call]
        total, count = total + loss_sum.detach(), count + n_counted
    if not counts_examples:
        # How many tokens there are is known only now.
        factor = divisor / _mean_over_workers(model, count)
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(factor)
    return total, count


def _exchanging(model: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Let workers exchange gradients with the last micro-batch only."""
    if isinstance(model, DistributedDataParallel) and not last:
        return model.no_sync()
    return nullcontext()


def _mean_over_workers(model: nn.Module, value: Any) -> float:
    # A quotient of whole numbers on the device would be float32.
    if not isinstance(model, DistributedDataParallel):
        return float(value)
    total = torch.tensor(float(value), dtype=torch.float64, device=next(model.parameters()).device)
    distributed.all_reduce(total, group=model.process_group)
    return float(total) / distributed.get_world_size(model.process_group)


def _warn_of_coupling(model: nn.Module, size: int, n_examples: int) -> None:
    name = coupling_module(model) if size < n_examples else None
    if name is not None:
        warnings.warn(
            "Accumulation gives the gradient of the whole batch where examples do not see one another, but module "
            f"{name!r} normalizes over micro-batches of {size}; keep that size fixed when you compare batch sizes, or "
            "use a layer without batch statistics.",
            stacklevel=3,
        )


def _itself(tensor: Tensor) -> Tensor:
    return tensor
