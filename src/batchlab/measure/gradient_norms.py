"""The norm of a mini-batch gradient by batch size, from nested draws at frozen parameters."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from batchlab.measure.coupling import coupling_module
from batchlab.measure.gradients import MeanLoss, batch_gradient, trained_parameters
from batchlab.measure.squared_norms import squared_norms
from batchlab.measure.untouched import untouched

Array = NDArray[numpy.float64]
Read = Callable[[Tensor], Any]

BATCH_SIZES = tuple(2**k for k in range(11))
DRAWS = 1000
MOST_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class NormDraws:
    """|g_B|² of the mean loss at each batch size, shape (streams, sizes); a row's batches are nested in one another.

    `normalized_over` names a batch normalization, which then ran on micro-batches of the smallest batch size.
    `n_skipped` streams had a gradient that was not finite.
    """

    batch_sizes: tuple[int, ...]
    sq_norms: Array
    n_skipped: int
    normalized_over: str | None


def draw_streams(n_data: int, length: int, n_draws: int = DRAWS, *, seed: int = 0) -> Iterator[Tensor]:
    """Yield `n_draws` tensors of so many example indices, drawn from `n_data` with replacement."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_draws):
        yield torch.randint(n_data, (length,), generator=generator)


def measure_gradient_norms(
    model: nn.Module,
    mean_loss: MeanLoss,
    read: Read,
    streams: Iterable[Tensor],
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    seed: int = 0,
) -> NormDraws:
    """Return the squared gradient norms of one batch of each size a stream; the model is left as found.

    Each stream has as many examples as the largest size, and each smaller batch is its beginning: all sizes for the
    price of the largest. Sizes therefore share examples, streams do not: take errors over streams. Where examples are
    drawn with replacement, E|g_B|² = |G|² + tr(Σ)/B exactly, with G and Σ those of the data set.

    Where a batch normalization looks at the batch, every pass has as many examples as the smallest size, which the
    others must be multiples of: the law then holds for its micro-batches.

    Args:
        model: at the parameters of interest; its mode is used as it is.
        mean_loss: `mean_loss(model, batch)`, a mean over the examples.
        read: from a tensor of example indices to their batch.
        streams: example indices, shape (largest size,) each, as from `draw_streams`. Where they end must not depend on
            the norms that were found.
        batch_sizes: in rising order.
        seed: of dropout.
    """
    sizes = tuple(batch_sizes)
    _check_sizes(sizes)
    parameters = tuple(trained_parameters(model).values())
    rows = []
    with untouched(model, seed=seed):
        coupled = coupling_module(model)
        spans = _spans(sizes, sizes[0] if coupled is not None else MOST_AT_ONCE)
        for indices in streams:
            _check_stream(indices, sizes[-1])
            rows.append(_one_stream(model, mean_loss, parameters, [read(indices[a:b]) for a, b in spans], spans, sizes))
        norms = torch.stack(rows).cpu().numpy()
    finite = numpy.isfinite(norms).all(axis=1)
    return NormDraws(sizes, norms[finite], int((~finite).sum()), coupled)


def _one_stream(
    model: nn.Module,
    mean_loss: MeanLoss,
    parameters: Sequence[Tensor],
    batches: Sequence[Any],
    spans: Sequence[tuple[int, int]],
    sizes: Sequence[int],
) -> Tensor:
    """Return |g_B|² of the beginnings of one stream, shape (sizes,)."""
    total = [torch.zeros_like(parameter) for parameter in parameters]
    found = []
    for batch, (start, end) in zip(batches, spans, strict=True):
        torch._foreach_add_(total, batch_gradient(model, mean_loss, parameters, batch), alpha=end - start)
        if end in sizes:
            found.append(squared_norms(total).sum() / end**2)
    return torch.stack(found)


def _spans(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Return the (start, end) of each pass: one ends at every batch size, and none is longer than `most`."""
    spans, start = [], 0
    for size in sizes:
        if most == sizes[0] and size % most:
            raise ValueError(
                f"Batch sizes must be multiples of the smallest ({most}) where a module normalizes over the batch, got "
                f"{size}; leave it out."
            )
        while start < size:
            end = min(size, start + most)
            spans.append((start, end))
            start = end
    return spans


def _check_sizes(sizes: tuple[int, ...]) -> None:
    if len(sizes) < 2 or sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
        raise ValueError(
            f"`batch_sizes` must be two or more whole numbers in rising order, got {list(sizes)}; use powers of two."
        )


def _check_stream(indices: Tensor, largest: int) -> None:
    if len(indices) != largest:
        raise ValueError(
            f"A stream must have {largest} examples, as many as the largest batch size, got {len(indices)}; see "
            "`draw_streams`."
        )
