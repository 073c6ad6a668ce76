"""The recent past of a training run as blocks of steps: a noise scale with its interval."""

import math
from dataclasses import dataclass, replace
from typing import Any

from batchlab.numerics.gradient_moments import add_noise_moments
from batchlab.numerics.intervals import FEWEST_VALUES, Interval
from batchlab.numerics.noise_scale import NoiseScale, estimate_noise_scale

# Neighboring steps share most of their parameters: so many make one block.
STEPS_PER_BLOCK = 10

Moments = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Block:
    """Sums of the moments of some measured steps by layer, and the training steps and examples they stand for."""

    moments: tuple[Moments, ...]
    n_measured: int
    n_steps: int
    n_examples: float

    def mean(self, layer: int | None) -> Moments:
        """Return mean trace and signal of one layer, or of the model."""
        trace, signal = add_noise_moments(self.moments) if layer is None else self.moments[layer]
        return trace / self.n_measured, signal / self.n_measured


@dataclass(frozen=True, slots=True)
class NoiseWindow:
    """The blocks of the last `window_examples` examples (three at least), and the one that is being filled."""

    window_examples: float
    blocks: tuple[Block, ...] = ()
    filling: Block | None = None


def add_step(window: NoiseWindow, moments: tuple[Moments, ...], n_steps: int, n_examples: float) -> NoiseWindow:
    """Return the window with one more measured step.

    Args:
        window: so far.
        moments: (trace, signal) of the step by layer.
        n_steps, n_examples: since the measured step before, this one included.
    """
    step = Block(moments, 1, n_steps, n_examples)
    filling = step if window.filling is None else _joined(window.filling, step)
    if filling.n_steps < STEPS_PER_BLOCK:
        return replace(window, filling=filling)
    blocks = (*window.blocks, filling)
    held = sum(block.n_examples for block in blocks)
    while len(blocks) > FEWEST_VALUES and held - blocks[0].n_examples >= window.window_examples:
        held -= blocks[0].n_examples
        blocks = blocks[1:]
    return replace(window, blocks=blocks, filling=None)


def noise_scale_of(window: NoiseWindow, *, layer: int | None = None, level: float = 0.95) -> NoiseScale:
    """Return the noise scale over the window's blocks, of the model or of one layer.

    Before the first block is full, that of the steps so far, which has no interval; without any, an empty one.
    """
    blocks = window.blocks or ((window.filling,) if window.filling is not None else ())
    if not blocks:
        nothing = Interval(math.nan, None, None)
        return NoiseScale(None, 0.0, math.inf, level, 0, nothing, nothing, flags=("too_few_blocks",))
    traces, signals = zip(*(block.mean(layer) for block in blocks), strict=True)
    return estimate_noise_scale(traces, signals, level)


def window_from(state: dict[str, Any]) -> NoiseWindow:
    """Return the window that `dataclasses.asdict` turned into `state`."""
    filling = state["filling"]
    return NoiseWindow(
        state["window_examples"],
        tuple(map(_block_from, state["blocks"])),
        None if filling is None else _block_from(filling),
    )


def _block_from(state: dict[str, Any]) -> Block:
    return Block(**{**state, "moments": tuple((trace, signal) for trace, signal in state["moments"])})


def _joined(a: Block, b: Block) -> Block:
    moments = tuple((x[0] + y[0], x[1] + y[1]) for x, y in zip(a.moments, b.moments, strict=True))
    return Block(moments, a.n_measured + b.n_measured, a.n_steps + b.n_steps, a.n_examples + b.n_examples)
