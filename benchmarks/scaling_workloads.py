"""Workloads of `scaling.py`, in a file so that worker processes load them: the digits, and layers of growing width."""

import functools

from batchlab.workload import Workload
from batchlab.workloads.digits import draw_digits
from batchlab.workloads.models import mlp


def digits(width: int) -> Workload:
    """Return the digits with one hidden layer of this width."""
    return Workload(
        f"digits-{width}",
        functools.partial(mlp, 64, width, 10),
        draw=draw_digits,
        optimizer_settings={"lr": 0.05, "momentum": 0.9},
        default_epochs=5,
    )


width_16 = digits(16)
width_64 = digits(64)
width_256 = digits(256)
width_1024 = digits(1024)
