"""Small models for the built-in workloads, without batch normalization, quick on a CPU."""

from itertools import pairwise

from torch import nn


def mlp(*widths: int) -> nn.Sequential:
    """Return a ReLU network with these layer widths, input first; inputs of any shape are flattened.

    >>> mlp(64, 32, 10)[1]
    Linear(in_features=64, out_features=32, bias=True)
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cnn(*channels: int, side: int, n_classes: int) -> nn.Sequential:
    """Return 3 x 3 convolutions, each with ReLU and 2 x 2 pooling, and a linear layer.

    Args:
        channels: of the input and of each convolution.
        side: height and width of the input in pixels, divisible by 2 once for every convolution.
        n_classes: number of outputs.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(channels):
        layers += [nn.Conv2d(n_in, n_out, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        side //= 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * side * side, n_classes))
