"""MNIST and Fashion-MNIST: 60,000 images for training and validation and 10,000 for testing, of 28 x 28 pixels."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from batchlab.workload import Workload
from batchlab.workloads.idx import read_labeled_images
from batchlab.workloads.image_files import (
    FASHION_MNIST,
    MNIST,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    ImageSet,
    find_files,
)
from batchlab.workloads.models import cnn, mlp
from batchlab.workloads.splitting import take_stratified

SIDE, N_CLASSES = 28, 10
Pair = tuple[Tensor, Tensor]

# One in six, 10,000 of 60,000; the same images for everyone.
VALIDATION_PART, VALIDATION_SEED = 6, 0

make_mlp = functools.partial(mlp, SIDE * SIDE, 256, N_CLASSES)
make_cnn = functools.partial(cnn, 1, 8, 16, side=SIDE, n_classes=N_CLASSES)


def mnist_mlp(data_dir: Path | None = None) -> Workload:
    """Return MNIST with one hidden layer of 256 units."""
    return _image_workload("mnist-mlp", MNIST, make_mlp, 0.01, data_dir)


def mnist_cnn(data_dir: Path | None = None) -> Workload:
    """Return MNIST with two convolutions of 8 and 16 channels."""
    return _image_workload("mnist-cnn", MNIST, make_cnn, 0.02, data_dir)


def fashion_mlp(data_dir: Path | None = None) -> Workload:
    """Return Fashion-MNIST with one hidden layer of 256 units."""
    return _image_workload("fashion-mlp", FASHION_MNIST, make_mlp, 0.01, data_dir)


def fashion_cnn(data_dir: Path | None = None) -> Workload:
    """Return Fashion-MNIST with two convolutions of 8 and 16 channels."""
    return _image_workload("fashion-cnn", FASHION_MNIST, make_cnn, 0.02, data_dir)


def _image_workload(
    name: str, image_set: ImageSet, model: Callable[[], nn.Module], learning_rate: float, data_dir: Path | None
) -> Workload:
    files = find_files(image_set, data_dir)
    images, labels = _read(files[TRAIN_IMAGES], files[TRAIN_LABELS])
    n_valid = max(1, len(labels) // VALIDATION_PART)
    valid, train = take_stratified(labels, n_valid, np.random.default_rng(VALIDATION_SEED))
    return Workload(
        name,
        model,
        _as_pair(images[train], labels[train], image_set),
        _as_pair(images[valid], labels[valid], image_set),
        _as_pair(*_read(files[TEST_IMAGES], files[TEST_LABELS]), image_set),
        optimizer_settings={"lr": learning_rate, "momentum": 0.9},
        default_epochs=5,
    )


def _read(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return read_labeled_images(images, labels, size=(SIDE, SIDE), n_classes=N_CLASSES)


def _as_pair(images: NDArray[np.uint8], labels: NDArray[np.uint8], image_set: ImageSet) -> Pair:
    """Return images of shape (n, 1, 28, 28) with about mean 0 and variance 1 over the data set, and labels."""
    pixels: Tensor = torch.from_numpy(images).to(torch.float32).unsqueeze(1)
    pixels.div_(255).sub_(image_set.pixel_mean[0]).div_(image_set.pixel_sd[0])
    return pixels, torch.from_numpy(labels).long()
