"""Measure a workload's gradients along one training run: noise, norms by batch size, interference."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from batchlab.analyze.gradient_norms import NormTable, norm_table
from batchlab.analyze.measured_claims import claims_at
from batchlab.analyze.measurements import (
    CheckpointFindings,
    InterferenceTable,
    MeasurementFindings,
    OrderTable,
    answer_of,
    confidence_of,
    order_table,
)
from batchlab.errors import UsageError, WorkloadError
from batchlab.measure.coupling import coupling_module
from batchlab.measure.gradient_norms import measure_gradient_norms
from batchlab.measure.gradients import MeanLoss
from batchlab.measure.interference import gradient_gram
from batchlab.measure.noise import measure_noise
from batchlab.measure.out_of_memory import is_out_of_memory
from batchlab.measure.random_states import kept_randomness
from batchlab.measure.step_order import measure_step_order
from batchlab.measure.weighted_noise import measure_curvature_noise
from batchlab.numerics.interference import pairwise_interference
from batchlab.numerics.noise_scale import NoiseScale
from batchlab.records import Budget, TrialSettings
from batchlab.studies.pilot import Pause, pause_steps, pilot_settings, train_pilot
from batchlab.train.budgets import steps_in_budget
from batchlab.train.devices import check_device
from batchlab.train.forward import forward_of
from batchlab.train.order import epoch_length
from batchlab.train.reading import read_batch
from batchlab.train.seeding import derive_seed
from batchlab.train.trial import versions
from batchlab.workload import Workload, load_workload
from batchlab.workloads.datasets import examples_in, is_arrays

MICRO_BATCH, MICRO_BATCHES_PER_BLOCK, MOST_BLOCKS = 16, 16, 100
LARGEST, N_GRAM, N_PAIRS = 1024, 256, 64
CURVATURE_BATCH, CURVATURE_BLOCKS = 64, 24
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

    `draws` is how many batches of each size give the table of norms, at the first and the last checkpoint.
    """

    batch_size: int | None = None
    budget: Budget | None = None
    learning_rate: float | None = None
    checkpoints: int = 4
    draws: int = 300
    seed: int = 0
    device: str = "cpu"
    data_dir: str | None = None


def measure_workload(
    workload: str | Workload, plan: MeasurementPlan, on_checkpoint: Callable[[int, int], None] | None = None
) -> MeasurementFindings:
    """Train one model, pause at checkpoints, and return what its gradients say.

    Args:
        workload: a workload, or a reference as for `load_workload`.
        plan: what to train and measure.
        on_checkpoint: called with the number of checkpoints done and of all.

    Raises:
        UsageError: the plan cannot be followed.
    """
    started = time.perf_counter()
    check_device(plan.device)
    loaded = load_workload(workload, data_dir=plan.data_dir) if isinstance(workload, str) else workload
    with kept_randomness([torch.device(plan.device)] if plan.device.startswith("cuda") else []):
        n_train = epoch_length(loaded, loaded.splits(derive_seed(plan.seed, "data", 0)).train)
        settings = _settings(loaded, plan, n_train)
        steps = pause_steps(settings.n_steps, plan.checkpoints)
        found = []
        for pause in train_pilot(loaded, settings, steps):
            ends = pause.step in (steps[0], steps[-1])
            found.append(_measured(_Subject(loaded, plan, settings, pause), with_norms=ends))
            if on_checkpoint is not None:
                on_checkpoint(len(found), len(steps))
            if not math.isfinite(pause.loss):
                break
    checkpoints = tuple(found)
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


def _settings(workload: Workload, plan: MeasurementPlan, n_train: int) -> TrialSettings:
    if plan.checkpoints < 1:
        raise UsageError(f"A measurement needs 1 checkpoint or more, got {plan.checkpoints}; 4 show a trend.")
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


@dataclass(frozen=True, slots=True)
class _Subject:
    """A model at one checkpoint and all that is needed to look at it."""

    workload: Workload
    plan: MeasurementPlan
    settings: TrialSettings
    pause: Pause

    @property
    def n_train(self) -> int:
        """Return how many examples there are to draw from."""
        return examples_in(self.pause.splits.train)

    def mean_loss(self) -> MeanLoss:
        """Return the workload's loss, as measurements take it."""
        workload, device = self.workload, self.plan.device

        def mean_loss(model: nn.Module, batch: Any) -> Tensor:
            return forward_of(workload, model, device)(batch, 0)[0]

        return mean_loss

    def read(self, indices: Tensor) -> Any:
        """Return a batch of the training data."""
        return read_batch(self.workload, self.pause.splits.train, indices.tolist(), self.plan.device)

    def draws(self, name: str, size: int) -> Iterator[Any]:
        """Yield batches drawn with replacement, without end; `name` makes them those of one purpose."""
        generator = torch.Generator().manual_seed(self.seed(name))
        while True:
            yield self.read(torch.randint(self.n_train, (size,), generator=generator))

    def seed(self, name: str) -> int:
        """Return the seed of one purpose at this checkpoint."""
        return derive_seed(self.plan.seed, "measure", name, self.pause.step)


def _measured(subject: _Subject, *, with_norms: bool) -> CheckpointFindings:
    pause, loss = subject.pause, subject.mean_loss()
    draws = subject.draws("noise", MICRO_BATCH)
    noise = measure_noise(
        pause.model,
        loss,
        (next(draws) for _ in range(MICRO_BATCHES_PER_BLOCK * MOST_BLOCKS)),
        micro_batches_per_block=MICRO_BATCHES_PER_BLOCK,
        count=lambda _: MICRO_BATCH,
        seed=subject.seed("dropout"),
    )
    notes = []
    if noise.normalized_over is not None:
        notes.append(
            f"Module {noise.normalized_over!r} normalizes over the batch: the noise is that of micro-batches of "
            f"{MICRO_BATCH}, and single examples have no gradients to compare."
        )
    interference, why = _interference(subject) if with_norms else (None, None)
    curvature, unbent = _curvature_noise(subject) if with_norms else (None, None)
    return CheckpointFindings(
        step=pause.step,
        examples=pause.examples,
        loss=pause.loss,
        noise_scale=noise.noise_scale,
        n_examples=noise.n_examples,
        norms=_norms(subject) if with_norms else None,
        interference=interference,
        order=_order(subject) if with_norms else None,
        notes=(*notes, *(note for note in (why, unbent) if note is not None)),
        curvature_noise_scale=curvature,
    )


def _norms(subject: _Subject) -> NormTable:
    smallest = MICRO_BATCH if coupling_module(subject.pause.model) is not None else 1
    sizes = tuple(2**k for k in range(11) if smallest <= 2**k <= LARGEST)
    drawn = measure_gradient_norms(
        subject.pause.model,
        subject.mean_loss(),
        subject.read,
        subject.n_train,
        batch_sizes=sizes,
        n_draws=subject.plan.draws,
        seed=subject.seed("norms"),
    )
    return norm_table(drawn.batch_sizes, drawn.sq_norms, n_skipped=drawn.n_skipped)


def _curvature_noise(subject: _Subject) -> tuple[NoiseScale | None, str | None]:
    """Return the noise scale weighted by curvature, or why there is none."""
    if coupling_module(subject.pause.model) is not None:
        return None, None
    draws = subject.draws("curvature", CURVATURE_BATCH)
    try:
        found = measure_curvature_noise(
            subject.pause.model,
            subject.mean_loss(),
            (next(draws) for _ in range(3 * CURVATURE_BLOCKS)),
            count=lambda _: CURVATURE_BATCH,
            seed=subject.seed("dropout"),
        )
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        return None, f"Curvature was not measured, as the model has no second derivative: {error}"
    return found, None


def _interference(subject: _Subject) -> tuple[InterferenceTable | None, str | None]:
    """Return the table of pairs, or why there is none."""
    n = min(N_GRAM, subject.n_train)
    generator = torch.Generator().manual_seed(subject.seed("pairs"))
    batch = subject.read(torch.randperm(subject.n_train, generator=generator)[:n])
    if coupling_module(subject.pause.model) is not None:
        return None, None
    try:
        gram = gradient_gram(subject.pause.model, subject.mean_loss(), batch).numpy()
    except (WorkloadError, ValueError) as error:
        return None, f"Pairs of examples were not compared: {error}"
    labels = _classes(subject, batch)
    if labels is None:
        return InterferenceTable(pairwise_interference(gram)), None
    same = (labels[:, None] == labels).numpy()
    return InterferenceTable(*(pairwise_interference(gram, among=among) for among in (None, same, ~same))), None


def _classes(subject: _Subject, batch: Any) -> Tensor | None:
    """Return the class of each example where targets are classes."""
    if subject.workload.step is not None or not is_arrays(subject.pause.splits.train) or not isinstance(batch, tuple):
        return None
    targets = batch[1]
    return (
        targets.cpu() if isinstance(targets, Tensor) and targets.ndim == 1 and not targets.is_floating_point() else None
    )


def _order(subject: _Subject) -> OrderTable:
    """Return the comparison of step orders, at the batch size and learning rate of the run."""
    size = max(1, subject.settings.batch_size // 2)
    draws = subject.draws("order", size)
    held_out = read_batch(
        subject.workload,
        subject.pause.splits.valid,
        list(range(min(N_GRAM, examples_in(subject.pause.splits.valid)))),
        subject.plan.device,
    )
    found = measure_step_order(
        subject.pause.model,
        subject.mean_loss(),
        ((next(draws), next(draws)) for _ in range(N_PAIRS)),
        held_out,
        learning_rate=subject.settings.learning_rate / 2,
        seed=subject.seed("dropout"),
    )
    return order_table(found.learning_rate, found.same, found.held_out)
