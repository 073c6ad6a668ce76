"""One training run that pauses, for a look at the model, at points that double."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from batchlab.records import Schedule, TrialSettings
from batchlab.train.order import batches, epochs
from batchlab.train.reading import on_device, open_reader
from batchlab.train.seeding import derive_seed, seed_everything
from batchlab.train.step import make_stepper, train_step
from batchlab.workload import Splits, Workload

LAST_BATCH = "carry"


@dataclass(frozen=True, slots=True)
class Pause:
    """The live model at one point of the run, and the data it trains on; `loss` is the mean since the pause before."""

    model: nn.Module
    splits: Splits
    step: int
    examples: int
    loss: float


def pilot_settings(
    workload: Workload, *, batch_size: int, n_steps: int, learning_rate: float, seed: int, device: str
) -> TrialSettings:
    """Return the settings of a run with the workload's own optimizer and a constant learning rate."""
    optional = {key: value for key, value in (workload.optimizer_settings or {}).items() if key != "lr"}
    return TrialSettings(
        workload=workload.name,
        fingerprint="",
        batch_size=batch_size,
        learning_rate=learning_rate,
        n_steps=n_steps,
        optimizer=workload.optimizer_name,
        optimizer_settings=tuple(sorted(optional.items())),
        schedule=Schedule(),
        last_batch=LAST_BATCH,
        evaluate_at=(),
        base_seed=seed,
        seed=0,
        replica=0,
        purpose="tune",
        device=device,
    )


def pause_steps(n_steps: int, n_pauses: int) -> tuple[int, ...]:
    """Return at which steps to pause: evenly spaced in the logarithm from a fiftieth of the run to its end.

    >>> pause_steps(1000, 4)
    (20, 74, 271, 1000)
    """
    first = max(1.0, n_steps / 50)
    span = math.log(n_steps / first)
    points = [first * math.exp(span * k / max(1, n_pauses - 1)) for k in range(n_pauses)] if n_pauses > 1 else [n_steps]
    return tuple(sorted({round(point) for point in points}))


def train_pilot(workload: Workload, settings: TrialSettings, pauses: tuple[int, ...]) -> Iterator[Pause]:
    """Train as a trial does, yielding at each of the steps in `pauses`; the model may be looked at, not changed.

    A gradient step is that of the reference loop. Random states are seeded here and not restored: the caller keeps
    them.
    """
    base_seed, seed, device = settings.base_seed, settings.seed, settings.device
    drawn = workload.splits(derive_seed(base_seed, "data", seed))
    splits = Splits(on_device(drawn.train, device), on_device(drawn.valid, device), None)
    seed_everything(derive_seed(base_seed, "weights", seed))
    model = workload.make_model().to(device)
    seed_everything(derive_seed(base_seed, "training", seed, settings.replica))
    stepper = make_stepper(workload, model, settings)
    order_seed = derive_seed(base_seed, "order", seed, settings.replica)
    read = open_reader(workload, splits.train, _batches(workload, splits, settings, order_seed), order_seed, device)
    model.train()
    loss_sum: Any = 0.0
    loss_count: Any = 0
    for step, indices in enumerate(_batches(workload, splits, settings, order_seed), start=1):
        found = train_step(stepper, (indices,), read)
        loss_sum, loss_count = loss_sum + found[0], loss_count + found[1]
        if step in pauses:
            yield Pause(model, splits, step, step * settings.batch_size, float(loss_sum) / float(loss_count))
            loss_sum, loss_count = 0.0, 0


def _batches(workload: Workload, splits: Splits, settings: TrialSettings, seed: int) -> Iterator[Any]:
    orders = epochs(workload, splits.train, seed)
    return batches(orders, settings.batch_size, settings.n_steps, settings.last_batch)
