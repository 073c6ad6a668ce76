"""Measure a workload's gradients along one training run: noise, norms by batch size, interference."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from batchlab.analyze.measured_claims import claims_at
from batchlab.analyze.measurements import CheckpointFindings, MeasurementFindings, answer_of, confidence_of
from batchlab.errors import UsageError
from batchlab.measure.random_states import kept_randomness
from batchlab.records import Budget, TrialSettings
from batchlab.studies.measured_checkpoint import Checkpoint, measure_checkpoint, time_weights
from batchlab.studies.pilot import Pause, pause_steps, pilot_settings, train_pilot
from batchlab.studies.time_shares import TimeShares
from batchlab.train.budgets import steps_in_budget
from batchlab.train.devices import check_device
from batchlab.train.order import epoch_length
from batchlab.train.seeding import derive_seed
from batchlab.train.trial import versions
from batchlab.workload import Workload
from batchlab.workloads.loading import load_workload

DRAW_NOTE = (
    "Examples were drawn with replacement, so the noise scale is that of this training set; the noise of a step that "
    "goes through it without replacement is less by the factor 1 - B/N."
)
CURVATURE_NOTE = (
    "Weighted by curvature it is tr(HΣ)/(G'HG), the batch size at which noise halves the best step of plain gradient "
    "descent; the two agree where all directions curve alike."
)


@dataclass(frozen=True, slots=True)
class MeasurementPlan:
    """What to train and what to measure; None for the workload's own defaults.

    `draws` is how many batches of each size give the table of norms, at the first and the last checkpoint, at most.
    `max_minutes` is for looking at the checkpoints, training apart: what takes longer is measured less closely, and
    says so.
    """

    batch_size: int | None = None
    budget: Budget | None = None
    learning_rate: float | None = None
    checkpoints: int = 4
    draws: int = 300
    max_minutes: float = 3.0
    seed: int = 0
    device: str = "cpu"
    data_dir: str | None = None


def measure_workload(
    workload: str | Workload, plan: MeasurementPlan, told: Callable[[str], None] | None = None
) -> MeasurementFindings:
    """Train one model, pause at checkpoints, and return what its gradients say.

    Args:
        workload: a workload, or a reference as for `load_workload`.
        plan: what to train and measure.
        told: called with a line of progress as each piece of work begins.

    Raises:
        UsageError: the plan cannot be followed.
    """
    started = time.perf_counter()
    check_device(plan.device)
    loaded = load_workload(workload, data_dir=plan.data_dir) if isinstance(workload, str) else workload
    with kept_randomness([torch.device(plan.device)] if plan.device.startswith("cuda") else []):
        n_train = epoch_length(loaded, loaded.splits(derive_seed(plan.seed, "data", 0)).train)
        settings = _settings(loaded, plan, n_train)
        checkpoints = _checkpoints(loaded, plan, settings, told or (lambda _: None))
    return MeasurementFindings(
        workload=loaded.name,
        unit=loaded.unit,
        device=plan.device,
        versions=versions(),
        seed=plan.seed,
        n_train=n_train,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        n_steps=settings.n_steps,
        optimizer=settings.optimizer,
        answer=answer_of(checkpoints, settings.batch_size, loaded.unit),
        confidence=confidence_of(checkpoints),
        checkpoints=checkpoints,
        claims=tuple(claim for checkpoint in checkpoints for claim in claims_at(checkpoint)),
        notes=(DRAW_NOTE, CURVATURE_NOTE),
        seconds=time.perf_counter() - started,
    )


def _checkpoints(
    workload: Workload, plan: MeasurementPlan, settings: TrialSettings, told: Callable[[str], None]
) -> tuple[CheckpointFindings, ...]:
    """Train, and measure at each checkpoint; a run that diverged ends at the one after."""
    steps = pause_steps(settings.n_steps, plan.checkpoints)
    at_ends = [step in (steps[0], steps[-1]) for step in steps]
    seconds_left = 60 * plan.max_minutes
    found: list[CheckpointFindings] = []
    told(f"training to step {steps[0]:,}")
    for pause in train_pilot(workload, settings, steps):
        done, began = len(found), time.monotonic()
        weights = [weight for with_norms in at_ends[done:] for weight in time_weights(with_norms=with_norms)]
        found.append(
            measure_checkpoint(
                _checkpoint(workload, plan, settings, pause),
                TimeShares(seconds_left, weights),
                _teller(told, f"step {pause.step:,} ({done + 1} of {len(steps)})"),
                with_norms=at_ends[done],
            )
        )
        seconds_left -= time.monotonic() - began
        if not math.isfinite(pause.loss):
            break
        if len(found) < len(steps):
            told(f"training to step {steps[len(found)]:,}")
    return tuple(found)


def _teller(told: Callable[[str], None], where: str) -> Callable[[str], None]:
    return lambda part: told(f"{where}: {part}")


def _checkpoint(workload: Workload, plan: MeasurementPlan, settings: TrialSettings, pause: Pause) -> Checkpoint:
    return Checkpoint(
        workload=workload,
        pause=pause,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        n_draws=plan.draws,
        base_seed=plan.seed,
        device=plan.device,
    )


def _settings(workload: Workload, plan: MeasurementPlan, n_train: int) -> TrialSettings:
    if plan.checkpoints < 1:
        raise UsageError(f"A measurement needs 1 checkpoint or more, got {plan.checkpoints}; 4 show a trend.")
    if not plan.max_minutes > 0:
        raise UsageError(
            f"A measurement needs some time, got max_minutes = {plan.max_minutes:g}; 3 is the default, and whatever it "
            "is two blocks are measured."
        )
    batch_size = plan.batch_size or workload.default_batch_size
    if not 1 <= batch_size <= n_train:
        raise UsageError(
            f"The batch size must lie between 1 and the {n_train} training examples, got {batch_size}; use one of them."
        )
    rate = plan.learning_rate or float((workload.optimizer_settings or {})["lr"])
    budget = plan.budget or Budget("epochs", workload.default_epochs)
    return pilot_settings(
        workload,
        batch_size=batch_size,
        n_steps=steps_in_budget(budget, batch_size, n_train, "carry"),
        learning_rate=rate,
        seed=plan.seed,
        device=plan.device,
    )
