"""Rare classes: examples are drawn by weight, and errors on the rare class cost more.

batchlab study examples/imbalanced.py:workload --batch-sizes 8:256
"""

from collections.abc import Iterable

import torch
from sklearn.datasets import make_classification
from torch import Generator, Tensor, nn
from torch.utils.data import WeightedRandomSampler

from batchlab import Metric, Workload

features, labels = make_classification(2000, n_features=12, n_informative=6, weights=[0.9], flip_y=0.02, random_state=0)
inputs, targets = torch.tensor(features, dtype=torch.float32), torch.tensor(labels)

# One example in ten is of class 1. It is drawn three times as often, and weighs twice as much in the loss.
DRAWN, COST = torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0])
# In the metric both classes count half.
SHARES = targets.bincount() / len(targets)
WEIGHTS = 0.5 / SHARES


def sampler(train: tuple[Tensor, Tensor], generator: Generator) -> Iterable[int]:
    """Return the examples of one epoch, with the trial's generator, so that they follow from its seed."""
    _, targets = train
    return WeightedRandomSampler(DRAWN[targets].tolist(), len(targets), generator=generator)


def model() -> nn.Module:
    """Return a fresh network; it is called once a trial, under the trial's own seed."""
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 2))


def balanced_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over both classes of their error rates.

    As a weighted mean over examples: it is then the same however the data are cut into batches.
    """
    wrong = outputs.argmax(dim=1) != targets
    return (wrong * WEIGHTS.to(targets.device)[targets]).mean()


workload = Workload(
    "rare",
    model,
    (inputs[:1200], targets[:1200]),
    (inputs[1200:1600], targets[1200:1600]),
    (inputs[1600:], targets[1600:]),
    loss=nn.CrossEntropyLoss(weight=COST),
    metric=Metric("balanced error", balanced_error, margin=0.01),
    sampler=sampler,
    optimizer_settings={"lr": 0.02, "momentum": 0.9},
)
