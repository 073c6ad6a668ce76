"""The negative control: labels are coin flips, so that no model and no batch size can be better than another."""

import functools
from typing import Any

import numpy as np

from batchlab.workload import Splits, Workload
from batchlab.workloads.models import mlp

N_TRAIN, N_VALID, N_TEST, N_INPUTS = 1000, 200, 200, 20


def no_signal() -> Workload:
    """Return 20 uniform inputs, 64 hidden units and labels drawn independently of the inputs; Adam at 1e-3."""
    return Workload(
        "no-signal",
        functools.partial(mlp, N_INPUTS, 64, 2),
        draw=draw_no_signal,
        optimizer="adam",
        optimizer_settings={"lr": 1e-3},
        default_epochs=10,
    )


def draw_no_signal(seed: int) -> Splits:
    """Return inputs and labels of all three splits, all drawn anew from the seed.

    One fixed test set would make arms that predict differently differ for ever, by its own luck.
    """
    generator = np.random.default_rng(seed)

    def pair(n_examples: int) -> Any:
        return generator.random((n_examples, N_INPUTS)), generator.random(n_examples) < 0.5

    return Splits(pair(N_TRAIN), pair(N_VALID), pair(N_TEST))
