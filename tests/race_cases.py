"""Races without training: worlds of the benchmark with known truths, carried out at once."""

import math

import numpy

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.study import analyze_study
from batchlab.records import StudyRecord, TrialSettings
from search_simulated import carry_out
from search_worlds import World, quadratic_loss

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
CURVATURE = 1 / numpy.arange(1, 101)


def soft(critical: float = 100.0, **changes: object) -> World:
    """Return a world with E = 4000 (1 + B/critical), a best rate 0.1 √(B/32) and ln E = 1.2 z² about it."""

    def loss(size: float, rate: float, steps: numpy.ndarray) -> numpy.ndarray:
        z = math.log(rate / (0.1 * math.sqrt(size / 32)))
        needed = 4000 * (1 + size / critical) * math.exp(min(1.2 * z * z, 30.0))
        value = 0.9 * (1 + 8 * steps * size / needed) ** -1.2
        return numpy.where((steps > 0) & (z > 1.2), math.nan, value)

    plain = {
        "name": "soft",
        "loss": loss,
        "target": 0.9 * 9**-1.2,
        "budget_examples": 60_000.0,
        "base_lr": 0.05,
        "base_batch_size": 32,
        "step_overhead": 100.0,
        "seed_sd": 0.03,
        "own_sd": 0.03,
        "sizes": SIZES,
    }
    return World(**(plain | changes))  # type: ignore[arg-type]


def harmonic(**changes: object) -> World:
    """Return SGD on the noisy quadratic with h = c = 1/i in 100 dimensions, to a loss of 0.05."""
    loss = quadratic_loss(CURVATURE, CURVATURE)
    return soft(name="quadratic", loss=loss, target=0.05, base_lr=0.3, budget_examples=200_000.0, **changes)


def finished(world: World, **changes: object) -> StudyRecord:
    """Return a race carried out to its end."""
    return carry_out(world, **changes)


def found(world: World, **changes: object) -> StudyFindings:
    """Return what a race finds."""
    return analyze_study(finished(world, **changes))


def of(record: StudyRecord, purpose: str) -> list[TrialSettings]:
    """Return the settings of the trials of one purpose."""
    return [one.settings for one in record.trials if one.settings.purpose == purpose]
