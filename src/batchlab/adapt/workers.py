"""Small reductions over the workers of a data-parallel run; without a group there is one worker."""

import numpy
import torch
from numpy.typing import NDArray
from torch import distributed
from torch.distributed import ProcessGroup, ReduceOp

Array = NDArray[numpy.float64]


def count_workers(group: ProcessGroup | None) -> int:
    """Return how many workers there are."""
    return 1 if group is None else distributed.get_world_size(group)


def sum_over_workers(numbers: Array, device: torch.device, group: ProcessGroup | None) -> Array:
    """Return the sums of the workers' numbers."""
    return _reduced(numbers, ReduceOp.SUM, device, group)


def largest_over_workers(number: float, device: torch.device, group: ProcessGroup | None) -> float:
    """Return the largest of the workers' numbers."""
    return float(_reduced(numpy.array([number]), ReduceOp.MAX, device, group)[0])


def _reduced(numbers: Array, operation: ReduceOp.RedOpType, device: torch.device, group: ProcessGroup | None) -> Array:
    if group is None:
        return numbers
    packed = torch.from_numpy(numbers).to(device)
    distributed.all_reduce(packed, operation, group=group)
    return packed.cpu().numpy()
