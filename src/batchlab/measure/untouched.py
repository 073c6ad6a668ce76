"""A measurement leaves the model, and everything random, as it found them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn

from batchlab.measure.random_states import kept_randomness


@contextmanager
def untouched(model: nn.Module, *, seed: int | None = None) -> Iterator[None]:
    """Let anything be measured inside; restore mode, buffers, `.grad` and random states afterward.

    Inside, `.grad` is None everywhere, so that gradients of a step half done are out of reach. Parameters must not be
    written to inside. Buffers come back as the very tensors they were, with their values.

    Args:
        model: what is measured.
        seed: fixes torch's random state inside, for dropout that repeats; the state goes on from where it is otherwise.

    >>> model = nn.BatchNorm1d(2)
    >>> with untouched(model):
    ...     _ = model(torch.randn(8, 2))
    >>> model.running_mean.tolist()
    [0.0, 0.0]
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    with kept_random_states(model):
        if seed is not None:
            torch.manual_seed(seed)
        try:
            for parameter, _ in gradients:
                parameter.grad = None
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for module, name, buffer, value in buffers:
                module._buffers[name] = buffer
                if buffer is not None and value is not None:
                    with torch.no_grad():
                        buffer.copy_(value)
            for parameter, gradient in gradients:
                parameter.grad = gradient


def kept_random_states(model: nn.Module) -> AbstractContextManager[None]:
    """Leave the random states of torch (also on the model's devices), NumPy and Python as they were found."""
    return kept_randomness([*{one.device for one in model.parameters() if one.device.type == "cuda"}])
