"""Findings of measurements as the views see them, without training anything."""

import numpy as np

from batchlab.analyze.gradient_norms import norm_table
from batchlab.analyze.measured_claims import claims_at
from batchlab.analyze.measurements import (
    CheckpointFindings,
    InterferenceTable,
    MeasurementFindings,
    answer_of,
    confidence_of,
    order_table,
)
from batchlab.numerics.interference import pairwise_interference
from batchlab.numerics.noise_scale import estimate_noise_scale

WEAK = estimate_noise_scale([41.0, 39.0, 43.0, 38.0], [2.1, -1.8, 2.0, -2.9])


def noise(scale, n=12):
    """Return a resolved noise scale near `scale`."""
    generator = np.random.default_rng(0)
    return estimate_noise_scale(scale * generator.normal(1, 0.1, n), generator.normal(1, 0.1, n))


def norms():
    """Return the table of nested Gaussian draws in 30 dimensions."""
    gradients = np.random.default_rng(1).normal(0.3, 1, (100, 16, 30))
    squares = [(gradients[:, :size].mean(axis=1) ** 2).sum(axis=1) for size in (1, 4, 16)]
    return norm_table((1, 4, 16), np.stack(squares, axis=1))


def pairs(shift=1.0):
    """Return the interference of 20 random vectors with a common part."""
    rows = np.random.default_rng(2).normal(shift, 1, (20, 30))
    same = np.arange(20)[:, None] % 2 == np.arange(20) % 2
    gram = rows @ rows.T
    return InterferenceTable(*(pairwise_interference(gram, among=among) for among in (None, same, ~same)))


def checkpoint(step=10, noise_scale=None, **changes):
    """Return what was measured at one step; `changes` replace fields."""
    fields = {
        "step": step,
        "examples": 32 * step,
        "loss": 0.5,
        "noise_scale": noise_scale or noise(50),
        "n_examples": 3072,
        "norms": norms(),
        "interference": pairs(),
        "order": order_table(0.025, (1e-3, 2e-3, 3e-3, 2e-3), (-1e-3, 1e-3, 2e-3, -2e-3)),
        "notes": (),
    }
    return CheckpointFindings(**(fields | changes))


def findings(*checkpoints, batch_size=32):
    """Return the findings of a run with these checkpoints."""
    found = checkpoints or (checkpoint(10), checkpoint(500, noise(400)))
    return MeasurementFindings(
        workload="digits-mlp",
        unit="example",
        device="cpu",
        versions=(("torch", "2.4.0"),),
        seed=0,
        n_train=1079,
        batch_size=batch_size,
        learning_rate=0.05,
        n_steps=found[-1].step,
        optimizer="sgd",
        answer=answer_of(found, batch_size, "example"),
        confidence=confidence_of(found),
        checkpoints=found,
        claims=tuple(claim for one in found for claim in claims_at(one)),
        notes=("Examples were drawn with replacement.",),
        seconds=12.0,
    )
