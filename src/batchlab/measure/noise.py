"""The gradient noise scale of a frozen model, from blocks of micro-batches."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from batchlab.measure.batches import count_examples
from batchlab.measure.coupling import coupling_module
from batchlab.measure.gradients import MeanLoss, batch_gradient, layer_of, trained_parameters
from batchlab.measure.squared_norms import squared_norms
from batchlab.measure.untouched import untouched
from batchlab.numerics.gradient_moments import add_noise_moments, noise_moments
from batchlab.numerics.noise_scale import NoiseScale, estimate_noise_scale, is_settled

Moments = tuple[float, float]


@dataclass(frozen=True, slots=True)
class NoiseMeasurement:
    """A noise scale at fixed parameters, and what it was measured from.

    `trace` and `signal` have one entry a block. `by_layer` holds each module's own noise scale; the model's is the
    ratio of their summed parts, not a mean of theirs. `n_skipped` blocks had a gradient that was not finite.
    `normalized_over` names a batch normalization that ran on each micro-batch: the noise scale is then that of
    training with this micro-batch size.
    """

    noise_scale: NoiseScale
    trace: tuple[float, ...]
    signal: tuple[float, ...]
    n_examples: int
    n_skipped: int
    micro_batches_per_block: int
    training_mode: bool
    normalized_over: str | None
    by_layer: tuple[tuple[str, NoiseScale], ...]


@dataclass(slots=True)
class _Blocks:
    """The moments of the blocks so far, one pair a layer."""

    layers: tuple[str, ...]
    moments: list[tuple[Moments, ...]]
    n_examples: int = 0
    n_skipped: int = 0

    def estimate(self, layer: int | None = None) -> NoiseScale:
        """Return the noise scale of the model, or of one layer."""
        pairs = [add_noise_moments(block) if layer is None else block[layer] for block in self.moments]
        traces, signals = zip(*pairs, strict=True)
        return estimate_noise_scale(traces, signals)


def measure_noise(
    model: nn.Module,
    mean_loss: MeanLoss,
    micro_batches: Iterable[Any],
    *,
    micro_batches_per_block: int = 16,
    tolerance: float | None = 0.3,
    count: Callable[[Any], int] = count_examples,
    seed: int | None = None,
) -> NoiseMeasurement:
    """Measure tr(Σ)/|G|² with its interval; the model is left exactly as it was found.

    Every block of A micro-batches gives one unbiased (trace, signal), see `noise_moments`; examples must be drawn
    independently, or the micro-batches of a block be disjoint. With few blocks of many small micro-batches the same
    examples say more. The model's mode is used as it is: in training mode dropout adds to Σ, and a batch normalization
    makes the micro-batch size part of what is measured. Frozen parameters are left out, those without a gradient count
    as zero, and shared ones once.

    Args:
        model: at the parameters of interest.
        mean_loss: `mean_loss(model, batch)`, a mean over the batch; see `mean_loss_of`.
        micro_batches: fresh ones as they come; a block cut short at their end is left out.
        micro_batches_per_block: A.
        tolerance: stop early when the interval is this narrow, see `is_settled`; None to use all there is.
        count: the number of examples in a batch, of what is drawn independently: for language models sequences.
        seed: fixes dropout.

    Raises:
        ValueError: no block was complete and finite.

    >>> from batchlab.measure.gradients import mean_loss_of
    >>> generator = torch.Generator().manual_seed(0)
    >>> batches = [(x, 0 * x[:, :1]) for x in torch.randn(160, 8, 4, generator=generator)]
    >>> found = measure_noise(nn.Linear(4, 1), mean_loss_of(nn.functional.mse_loss), batches)
    >>> found.noise_scale.n_blocks, found.n_examples
    (10, 1280)
    """
    parameters = trained_parameters(model)
    layers = tuple(dict.fromkeys(map(layer_of, parameters)))
    places = torch.tensor([layers.index(layer_of(name)) for name in parameters])
    blocks = _Blocks(layers, [])
    with untouched(model, seed=seed):
        normalized_over, mode = coupling_module(model), model.training
        for block in _grouped(micro_batches, micro_batches_per_block):
            sizes = [count(batch) for batch in block]
            found = _block_moments(model, mean_loss, tuple(parameters.values()), block, sizes, places, len(layers))
            _add(blocks, found, sum(sizes))
            if tolerance is not None and blocks.moments and is_settled(blocks.estimate(), tolerance):
                break
    if not blocks.moments:
        raise ValueError(
            f"A noise scale needs one block of {micro_batches_per_block} micro-batches with finite gradients or more, "
            f"got {blocks.n_skipped} that were not finite and no other; give more micro-batches, or lower "
            "`micro_batches_per_block`."
        )
    pairs = [add_noise_moments(block) for block in blocks.moments]
    return NoiseMeasurement(
        noise_scale=blocks.estimate(),
        trace=tuple(trace for trace, _ in pairs),
        signal=tuple(signal for _, signal in pairs),
        n_examples=blocks.n_examples,
        n_skipped=blocks.n_skipped,
        micro_batches_per_block=micro_batches_per_block,
        training_mode=mode,
        normalized_over=normalized_over,
        by_layer=tuple((layer, blocks.estimate(index)) for index, layer in enumerate(layers)),
    )


def _add(blocks: _Blocks, found: tuple[Moments, ...] | None, n_examples: int) -> None:
    blocks.n_examples += n_examples
    if found is None:
        blocks.n_skipped += 1
    else:
        blocks.moments.append(found)


def _grouped(micro_batches: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield whole blocks."""
    if size < 2:
        raise ValueError(
            f"`micro_batches_per_block` must be at least 2, got {size}; 16 is a good choice where batches are small."
        )
    block = []
    for batch in micro_batches:
        block.append(batch)
        if len(block) == size:
            yield block
            block = []


def _block_moments(
    model: nn.Module,
    mean_loss: MeanLoss,
    parameters: Sequence[Tensor],
    block: Sequence[Any],
    sizes: Sequence[int],
    places: Tensor,
    n_layers: int,
) -> tuple[Moments, ...] | None:
    """Return trace and signal of each layer; None where a gradient was not finite."""
    total = [torch.zeros_like(parameter) for parameter in parameters]
    rows = []
    for batch, size in zip(block, sizes, strict=True):
        gradient = batch_gradient(model, mean_loss, parameters, batch)
        torch._foreach_add_(total, gradient, alpha=size / sum(sizes))
        rows.append(_by_layer(squared_norms(gradient), places, n_layers))
    norms = torch.stack([*rows, _by_layer(squared_norms(total), places, n_layers)]).cpu()
    if not torch.isfinite(norms).all():
        return None
    return tuple(noise_moments(column[:-1], column[-1], sizes) for column in norms.T.tolist())


def _by_layer(norms: Tensor, places: Tensor, n_layers: int) -> Tensor:
    """Return squared norms of layers from those of their parameters."""
    return norms.new_zeros(n_layers).index_add_(0, places.to(norms.device), norms)
