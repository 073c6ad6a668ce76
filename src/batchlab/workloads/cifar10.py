"""CIFAR-10: 50,000 color images for training and validation and 10,000 for testing, of 32 x 32 pixels."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from batchlab.workload import Workload
from batchlab.workloads.cifar_files import CHANNELS, N_CLASSES, SIDE, Labeled, read_cifar_files
from batchlab.workloads.image_files import CIFAR10, CIFAR_TEST, CIFAR_TRAIN, find_files
from batchlab.workloads.splitting import take_stratified

WIDTHS = (32, 128, 224)
N_GROUPS = 16
# What the first convolution gives for one image takes an eighth of a megabyte.
EVALUATION_BATCH_SIZE = 256

# One in ten, 5,000 of 50,000; the same images for everyone.
VALIDATION_PART, VALIDATION_SEED = 10, 0


def cifar10_cnn(data_dir: Path | None = None) -> Workload:
    """Return CIFAR-10 with three convolutions of 32, 128 and 224 channels and group normalization."""
    files = find_files(CIFAR10, data_dir)
    images, labels = read_cifar_files([files[name] for name in CIFAR_TRAIN])
    n_valid = max(1, len(labels) // VALIDATION_PART)
    valid, train = take_stratified(labels, n_valid, np.random.default_rng(VALIDATION_SEED))
    return Workload(
        "cifar10-cnn",
        make_network,
        _as_pair((images[train], labels[train])),
        _as_pair((images[valid], labels[valid])),
        _as_pair(read_cifar_files([files[CIFAR_TEST]])),
        optimizer_settings={"lr": 0.02, "momentum": 0.9},
        evaluation_batch_size=EVALUATION_BATCH_SIZE,
        default_epochs=10,
    )


def make_network() -> nn.Sequential:
    """Return 3 x 3 convolutions, each with 2 x 2 pooling, group normalization and ReLU, and a linear layer.

    The linear layer sees the mean of each channel: the whole last image would make usual learning rates diverge.
    Batch normalization would make the loss of an example depend on its batch.
    """
    layers: list[nn.Module] = [Normalize(CIFAR10.pixel_mean, CIFAR10.pixel_sd)]
    for n_in, n_out in pairwise((CHANNELS, *WIDTHS)):
        layers += [
            nn.Conv2d(n_in, n_out, kernel_size=3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.GroupNorm(N_GROUPS, n_out),
            nn.ReLU(),
        ]
    side = SIDE // 2 ** len(WIDTHS)
    return nn.Sequential(*layers, nn.AvgPool2d(side), nn.Flatten(), nn.Linear(WIDTHS[-1], N_CLASSES))


class Normalize(nn.Module):
    """Turns pixels in 0..255, as unsigned bytes, to about mean 0 and variance 1 in each channel.

    In the model, so that the data stay bytes: as floats they would take 0.7 GB in each process.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, mean: tuple[float, ...], sd: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("sd", 255 * torch.tensor(sd).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the images, shape (n, channels, height, width), as normalized floats."""
        return (images.to(self.mean.dtype) - self.mean) / self.sd


def _as_pair(labeled: Labeled) -> tuple[Tensor, Tensor]:
    images, labels = labeled
    return torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels.astype(np.int64))
