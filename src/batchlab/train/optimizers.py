"""Optimizers by name, with torch's own settings."""

from collections.abc import Callable, Iterable

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from batchlab.records import Settings

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def make_optimizer(name: str, parameters: Iterable[Parameter], learning_rate: float, settings: Settings) -> Optimizer:
    """Return a torch optimizer over `parameters`; `settings` are torch's keys without `lr`.

    The fused implementations are asked for: on small models the step is then one kernel call.
    """
    return OPTIMIZERS[name](parameters, lr=learning_rate, fused=True, **dict(settings))
