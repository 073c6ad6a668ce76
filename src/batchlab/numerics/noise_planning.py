"""How much to measure for a noise scale known to a wanted precision."""

import math


def noise_scale_error(noise_scale: float, effective_rank: float, n_examples: float, n_blocks: int = 1) -> float:
    """Return the relative standard error to expect of a noise scale B from n examples in T blocks.

    With r = (tr Σ)²/tr(Σ²) the effective rank, for Gaussian gradients and many micro-batches a block, the parts are

        noise    B √(2/r) √T/n       lost products across blocks cost √T
        signal   2 √(B/(n r))        from 4 G'ΣG/n with G a typical direction

    and the error is their root sum of squares; that of the trace is smaller by far and left out. From
    Var(signal) = 4 G'ΣG/n + 2 tr(Σ²)/(b² A (A - 1)), exact for Gaussian gradients.

    >>> f"{noise_scale_error(400, 20, 2200):.2f}"
    '0.20'
    """
    _check(noise_scale, effective_rank, n_examples, n_blocks)
    noise = noise_scale * math.sqrt(2 * n_blocks / effective_rank) / n_examples
    signal = 2 * math.sqrt(noise_scale / (n_examples * effective_rank))
    return math.hypot(noise, signal)


def examples_needed(noise_scale: float, effective_rank: float, relative_error: float, n_blocks: int = 1) -> int:
    """Return the examples, over all blocks, that give a noise scale to `relative_error`: `noise_scale_error` solved.

    One block is cheapest and has no interval; 10 to 16 blocks are a good compromise.

    >>> examples_needed(400, 20, 0.2, n_blocks=10)
    3237
    """
    _check(noise_scale, effective_rank, relative_error, n_blocks)
    linear = 4 * noise_scale / effective_rank
    square = 2 * noise_scale**2 * n_blocks / effective_rank
    return math.ceil((linear + math.sqrt(linear**2 + 4 * relative_error**2 * square)) / (2 * relative_error**2))


def blocks_needed(noise_scale: float, effective_rank: float, relative_error: float, block_examples: int) -> int:
    """Return how many blocks of `block_examples` examples give a noise scale to `relative_error`.

    >>> blocks_needed(400, 20, 0.2, block_examples=324)
    10
    """
    _check(noise_scale, effective_rank, relative_error, block_examples)
    return max(1, math.ceil((noise_scale_error(noise_scale, effective_rank, block_examples) / relative_error) ** 2))


def _check(*numbers: float) -> None:
    if not all(0 < number < math.inf for number in numbers):
        raise ValueError(
            f"All arguments must be finite and above 0, got {', '.join(f'{number:g}' for number in numbers)}; "
            "start from a short measurement where nothing is known yet."
        )
