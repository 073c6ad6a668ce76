"""Tiny models and data that many tests share: quick to train, with a known answer where possible."""

import contextlib
import functools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from batchlab.workload import Metric, Workload, cross_entropy

N_INPUTS, N_CLASSES = 4, 3


def mean_squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean()


def blobs(n_examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return three Gaussian classes whose centers are two standard deviations from the origin."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, N_CLASSES, n_examples)
    return 2 * np.eye(N_CLASSES, N_INPUTS)[labels] + generator.standard_normal((n_examples, N_INPUTS)), labels


def line(n_examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets that are a linear function of them, 3 plus the sum, and noise of sd 0.1."""
    generator = np.random.default_rng(seed)
    inputs = generator.standard_normal((n_examples, N_INPUTS))
    return inputs, 3 + inputs.sum(axis=1, keepdims=True) + 0.1 * generator.standard_normal((n_examples, 1))


def tiny_classifier(**changes: Any) -> Workload:
    """Return a linear classifier of the blobs; `changes` replace arguments of Workload."""
    arguments = {
        "name": "tiny",
        "model": functools.partial(nn.Linear, N_INPUTS, N_CLASSES),
        "train": blobs(96, seed=1),
        "valid": blobs(48, seed=2),
        "test": blobs(48, seed=3),
        "loss": cross_entropy,
        "optimizer_settings": {"lr": 0.1},
        "default_batch_size": 8,
        "default_epochs": 2,
    }
    return Workload(**(arguments | changes))


def tiny_regression(**changes: Any) -> Workload:
    """Return linear regression on the line; `changes` replace arguments of Workload."""
    arguments = {
        "name": "line",
        "model": functools.partial(nn.Linear, N_INPUTS, 1),
        "train": line(64, seed=1),
        "valid": line(32, seed=2),
        "loss": mean_squared,
        "metric": Metric("squared error", mean_squared),
        "optimizer_settings": {"lr": 0.05},
    }
    return Workload(**(arguments | changes))


def idx_bytes(array: np.ndarray) -> bytes:
    """Return `array` of unsigned bytes as the content of an IDX file."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_image_set(folder: Path, n_train: int = 60, n_test: int = 20) -> None:
    """Write the four files of a data set like MNIST whose images say by their brightness which class they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", n_train), ("t10k", n_test)):
        labels = np.arange(count) % 10
        images = np.broadcast_to((labels * 25)[:, None, None], (count, 28, 28))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Fix torch's random state and use one thread, which on tiny models is also faster; restore both."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def random_state() -> bytes:
    """Return torch's random state, to compare."""
    return torch.get_rng_state().numpy().tobytes()
