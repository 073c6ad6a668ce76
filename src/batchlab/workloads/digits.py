"""scikit-learn's handwritten digits: 1797 real images of 8 x 8 pixels that come with the package."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchlab.workload import Splits, Workload
from batchlab.workloads.models import cnn, mlp
from batchlab.workloads.splitting import take_stratified

HELD_OUT_SHARE = 0.2
# Of all pixels of all images, which run from 0 to 16.
PIXEL_MEAN, PIXEL_SD = 4.884, 6.017


def digits_mlp() -> Workload:
    """Return the digits with one hidden layer of 64 units."""
    return Workload(
        "digits-mlp",
        functools.partial(mlp, 64, 64, 10),
        draw=draw_digits,
        optimizer_settings={"lr": 0.05, "momentum": 0.9},
        default_epochs=20,
    )


def digits_cnn() -> Workload:
    """Return the digits with two convolutions of 16 and 32 channels."""
    return Workload(
        "digits-cnn",
        functools.partial(cnn, 1, 16, 32, side=8, n_classes=10),
        draw=draw_digits,
        optimizer_settings={"lr": 0.02, "momentum": 0.9},
        default_epochs=10,
    )


def draw_digits(seed: int) -> Splits:
    """Return the seed's own stratified split, 60 % for training and 20 % each for validation and test."""
    images, labels = _digits()
    n_held_out = round(HELD_OUT_SHARE * len(labels))
    generator = np.random.default_rng(seed)
    test, rest = take_stratified(labels, n_held_out, generator)
    valid, train = take_stratified(labels[rest], n_held_out, generator)

    def pair(indices: NDArray[np.intp]) -> Any:
        return images[indices], labels[indices]

    return Splits(pair(rest[train]), pair(rest[valid]), pair(test))


@functools.cache
def _digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = ((pixels - PIXEL_MEAN) / PIXEL_SD).astype(np.float32).reshape(-1, 1, 8, 8)
    return images, labels.astype(np.int64)
