"""Images that are shifted at random each time they are read, by two loader processes.

batchlab study examples/augmented_images.py:workload --batch-sizes 8:128
"""

from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset

from batchlab import Workload

pixels, digits = load_digits(return_X_y=True)
order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
images = torch.tensor(pixels / 16, dtype=torch.float32).view(-1, 1, 8, 8)[order]
labels = torch.tensor(digits)[order]


class Digits(Dataset[tuple[Tensor, Tensor]]):
    """The digits from `start` to `stop`; where `augmented`, each is moved by up to a pixel whenever it is read.

    Randomness comes from torch, which has a seed for every batch: a trial that is repeated sees the same images.
    """

    def __init__(self, start: int, stop: int, *, augmented: bool) -> None:
        self.images, self.labels, self.augmented = images[start:stop], labels[start:stop], augmented

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.images[index]
        if self.augmented:
            down, right = torch.randint(0, 3, (2,)).tolist()
            image = nn.functional.pad(image, (1, 1, 1, 1))[:, down : down + 8, right : right + 8]
        return image, self.labels[index]


def model() -> nn.Module:
    """Return a small convolutional network."""
    convolutions = [
        layer for n_in, n_out in pairwise((1, 16, 32)) for layer in (nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU())
    ]
    return nn.Sequential(*convolutions, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 4 * 4, 10))


workload = Workload(
    "shifted-digits",
    model,
    Digits(0, 1200, augmented=True),
    Digits(1200, 1500, augmented=False),
    Digits(1500, len(labels), augmented=False),
    num_workers=2,
    optimizer_settings={"lr": 0.05, "momentum": 0.9},
    unit="image",
)
