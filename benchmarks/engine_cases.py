"""What every contestant of `engine.py` trains: the same images, networks, steps and evaluations."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from batchlab.errors import WorkloadError
from batchlab.workload import Workload
from batchlab.workloads.images import make_cnn, make_mlp, mnist_mlp

Pair = tuple[Tensor, Tensor]

MODELS: dict[str, Callable[[], nn.Module]] = {"mlp": make_mlp, "cnn": make_cnn}
TITLES = {"mlp": "MLP 784-256-10", "cnn": "CNN of 8 and 16 channels"}
# Of the training images; the share that the project's own splits have is a third.
VALIDATION_SHARE = 0.25
EPOCHS = 16
LEARNING_RATE, MOMENTUM = 0.01, 0.9
EVALUATION_BATCH = 2048
MOST_IMAGES = 50_000


@dataclass(frozen=True, slots=True)
class Case:
    """One network at one batch size; an epoch has `steps` full batches, and validation follows every epoch."""

    model: str
    batch_size: int
    steps: int

    @property
    def n_train(self) -> int:
        """Return the images of an epoch: no batch is ever short."""
        return self.batch_size * self.steps

    @property
    def n_valid(self) -> int:
        """Return the images of one evaluation."""
        return round(self.n_train * VALIDATION_SHARE)

    @property
    def n_steps(self) -> int:
        """Return the steps of one training run."""
        return self.steps * EPOCHS


# Epochs get shorter where steps take longer, so that all cases take seconds.
CASES = (
    Case("mlp", 8, 60),
    Case("mlp", 32, 64),
    Case("mlp", 128, 24),
    Case("mlp", 512, 6),
    Case("cnn", 8, 24),
    Case("cnn", 32, 12),
    Case("cnn", 128, 4),
    Case("cnn", 512, 2),
)


@dataclass(frozen=True, slots=True)
class Data:
    """Images of shape (n, 1, 28, 28) and labels from 0 to 9."""

    train: Pair
    valid: Pair


def images() -> tuple[Pair, str]:
    """Return the training images of MNIST, or random ones of their shape, and which of the two they are."""
    try:
        inputs, targets = mnist_mlp().splits(0).train
        return (inputs, targets), "MNIST"
    except WorkloadError:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(MOST_IMAGES, 1, 28, 28, generator=generator)
        return (inputs, torch.randint(0, 10, (MOST_IMAGES,), generator=generator)), "random"


def data_of(case: Case, pool: Pair) -> Data:
    """Return the case's part of the images, copied so that nothing else is held or sent."""
    n, end = case.n_train, case.n_train + case.n_valid
    inputs, targets = pool
    return Data((inputs[:n].clone(), targets[:n].clone()), (inputs[n:end].clone(), targets[n:end].clone()))


def workload_of(case: Case, data: Data) -> Workload:
    """Return the case as a study takes it."""
    return Workload(
        f"{case.model}-{case.batch_size}",
        MODELS[case.model],
        data.train,
        data.valid,
        optimizer_settings={"lr": LEARNING_RATE, "momentum": MOMENTUM},
    )


make_optimizer = functools.partial(torch.optim.SGD, lr=LEARNING_RATE, momentum=MOMENTUM)
