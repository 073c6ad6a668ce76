"""The memory of a GPU, by the statistics of torch's allocator."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

# Blocks of different sizes leave gaps between them: what is kept free of the free memory.
RESERVE = 0.06


@dataclass(frozen=True, slots=True)
class MemoryGauge:
    """How memory is watched: `reset` before a run, `peak` after it, in the unit of `limit`."""

    reset: Callable[[], object]
    peak: Callable[[], float]
    limit: float


def cuda_gauge(device: int | None = None) -> MemoryGauge | None:
    """Return the gauge of a GPU that is in use, the current one by default; None where there is none.

    The peak is that of tensors, `max_memory_allocated`. They may take what is free on the device now, and what torch
    already holds there, but for a reserve of 6 %: the allocator loses some to gaps.

    Args:
        device: number of the GPU.
    """
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):  # type: ignore[no-untyped-call]
        return None
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    usable = free + torch.cuda.memory_reserved(device)

    def peak() -> float:
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device))

    return MemoryGauge(lambda: torch.cuda.reset_peak_memory_stats(device), peak, (1 - RESERVE) * usable)
