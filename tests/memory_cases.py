"""Steps that take memory, in a module that other processes can import."""

import os
import signal
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Filling:
    """A step that fills one mebibyte an example."""

    def __call__(self, batch_size: int) -> None:
        held = [torch.ones(1 << 18) for _ in range(batch_size)]
        assert len(held) == batch_size


def training(model: nn.Module, batch_size: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(batch_size, 8)).square().mean().backward()
        optimizer.step()


def killed_above_100(batch_size: int) -> None:
    if batch_size > 100:
        os.kill(os.getpid(), signal.SIGKILL)
