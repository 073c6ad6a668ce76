"""Measure the gradients of one model at one point of its training: noise, norms by batch size, interference, order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from batchlab.analyze.gradient_norms import NormTable, norm_table
from batchlab.analyze.measurements import CheckpointFindings, InterferenceTable, OrderTable, order_table
from batchlab.errors import WorkloadError
from batchlab.measure.coupling import coupling_module
from batchlab.measure.gradient_norms import draw_streams, measure_gradient_norms
from batchlab.measure.gradients import MeanLoss
from batchlab.measure.interference import gradient_gram
from batchlab.measure.noise import NoiseMeasurement, measure_noise
from batchlab.measure.out_of_memory import is_out_of_memory
from batchlab.measure.step_order import measure_step_order
from batchlab.measure.weighted_noise import measure_curvature_noise
from batchlab.numerics.interference import pairwise_interference
from batchlab.numerics.noise_scale import NoiseScale, is_settled
from batchlab.studies.pilot import Pause
from batchlab.studies.time_shares import TimeShares
from batchlab.train.forward import forward_of
from batchlab.train.reading import read_batch
from batchlab.train.seeding import derive_seed
from batchlab.workload import Workload
from batchlab.workloads.datasets import examples_in, is_arrays

MICRO_BATCH, MICRO_BATCHES_PER_BLOCK, MOST_BLOCKS = 16, 16, 100
LARGEST, N_GRAM, N_PAIRS = 1024, 256, 64
CURVATURE_BATCH, CURVATURE_BLOCKS = 64, 24
FEWEST_BLOCKS, FEWEST_STREAMS = 2, 20
NOISE, CURVATURE, NORMS = "noise scale", "noise scale weighted by curvature", "norms by batch size"
INTERFERENCE, ORDER = "pairs of examples", "order of steps"
WEIGHTS = {NOISE: 3.0, CURVATURE: 2.0, NORMS: 4.0, INTERFERENCE: 1.0, ORDER: 1.0}

Over = Callable[[], bool]
Part = Callable[["Subject", Over], tuple[Any, str | None]]


def time_weights(*, with_norms: bool) -> list[float]:
    """Return the weight of each part that `measure_checkpoint` measures, in its order."""
    return list(WEIGHTS.values()) if with_norms else [WEIGHTS[NOISE]]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model at one checkpoint and all that is needed to look at it; `n_draws` is that of the norms, at most."""

    workload: Workload
    pause: Pause
    batch_size: int
    learning_rate: float
    n_draws: int
    base_seed: int
    device: str

    @property
    def n_train(self) -> int:
        """Return how many examples there are to draw from."""
        return examples_in(self.pause.splits.train)

    def mean_loss(self) -> MeanLoss:
        """Return the workload's loss, as measurements take it."""
        workload, device = self.workload, self.device

        def mean_loss(model: nn.Module, batch: Any) -> Tensor:
            return forward_of(workload, model, device)(batch, 0)[0]

        return mean_loss

    def read(self, indices: Tensor) -> Any:
        """Return a batch of the training data."""
        return read_batch(self.workload, self.pause.splits.train, indices.tolist(), self.device)

    def draws(self, name: str, size: int) -> Iterator[Any]:
        """Yield batches drawn with replacement, without end; `name` makes them those of one purpose."""
        generator = torch.Generator().manual_seed(self.seed(name))
        while True:
            yield self.read(torch.randint(self.n_train, (size,), generator=generator))

    def seed(self, name: str) -> int:
        """Return the seed of one purpose at this checkpoint."""
        return derive_seed(self.base_seed, "measure", name, self.pause.step)


def measure_checkpoint(
    subject: Subject, shares: TimeShares, told: Callable[[str], None], *, with_norms: bool
) -> CheckpointFindings:
    """Measure one part after the other, each until it has enough or its share of the time is over; notes say which.

    Args:
        subject: the model, and what to draw.
        shares: of time, with the weights of `time_weights`.
        told: called with the name of each part as it begins.
        with_norms: measure all parts, or the noise scale alone.
    """
    notes = []

    def measured(name: str, measure: Part) -> Any:
        told(name)
        found, note = measure(subject, shares.next())
        if note is not None:
            notes.append(note)
        return found

    noise: NoiseMeasurement = measured(NOISE, _noise)
    rest = ((CURVATURE, _curvature_noise), (NORMS, _norms), (INTERFERENCE, _interference), (ORDER, _order))
    curvature, norms, interference, order = (measured(name, measure) if with_norms else None for name, measure in rest)
    if noise.normalized_over is not None:
        notes.insert(
            0,
            f"Module {noise.normalized_over!r} normalizes over the batch: the noise is that of micro-batches of "
            f"{MICRO_BATCH}, and single examples have no gradients to compare.",
        )
    return CheckpointFindings(
        step=subject.pause.step,
        examples=subject.pause.examples,
        loss=subject.pause.loss,
        noise_scale=noise.noise_scale,
        n_examples=noise.n_examples,
        norms=norms,
        interference=interference,
        order=order,
        notes=tuple(notes),
        curvature_noise_scale=curvature,
    )


def _in_time(batches: Iterator[Any], over: Over, *, a_block: int, most: int) -> Iterator[Any]:
    """Yield up to `most` blocks of so many, the first two whatever the time and the others while it lasts."""
    for block in range(most):
        if block >= FEWEST_BLOCKS and over():
            return
        yield from islice(batches, a_block)


def _noise(subject: Subject, over: Over) -> tuple[NoiseMeasurement, str | None]:
    draws = subject.draws("noise", MICRO_BATCH)
    found = measure_noise(
        subject.pause.model,
        subject.mean_loss(),
        _in_time(draws, over, a_block=MICRO_BATCHES_PER_BLOCK, most=MOST_BLOCKS),
        micro_batches_per_block=MICRO_BATCHES_PER_BLOCK,
        count=lambda _: MICRO_BATCH,
        seed=subject.seed("dropout"),
    )
    done = found.noise_scale.n_blocks + found.n_skipped
    return found, None if is_settled(found.noise_scale) else _cut_short(subject, NOISE, done, MOST_BLOCKS, "blocks")


def _norms(subject: Subject, over: Over) -> tuple[NormTable | None, str | None]:
    smallest = MICRO_BATCH if coupling_module(subject.pause.model) is not None else 1
    most = max(2 * smallest, min(LARGEST, subject.n_train))
    sizes = tuple(2**k for k in range(11) if smallest <= 2**k <= most)
    streams = draw_streams(subject.n_train, sizes[-1], subject.n_draws, seed=subject.seed("norms"))
    drawn = measure_gradient_norms(
        subject.pause.model,
        subject.mean_loss(),
        subject.read,
        _in_time(streams, over, a_block=1, most=subject.n_draws),
        batch_sizes=sizes,
        seed=subject.seed("norms"),
    )
    done = len(drawn.sq_norms) + drawn.n_skipped
    note = _cut_short(subject, NORMS, done, subject.n_draws, "draws")
    if len(drawn.sq_norms) < min(FEWEST_STREAMS, subject.n_draws):
        return None, f"{note} Fewer than {FEWEST_STREAMS} make no table." if note else None
    return norm_table(drawn.batch_sizes, drawn.sq_norms, n_skipped=drawn.n_skipped), note


def _curvature_noise(subject: Subject, over: Over) -> tuple[NoiseScale | None, str | None]:
    """Return the noise scale weighted by curvature, or why there is none."""
    if coupling_module(subject.pause.model) is not None:
        return None, None
    draws = subject.draws("curvature", CURVATURE_BATCH)
    try:
        found = measure_curvature_noise(
            subject.pause.model,
            subject.mean_loss(),
            _in_time(draws, over, a_block=3, most=CURVATURE_BLOCKS),
            count=lambda _: CURVATURE_BATCH,
            seed=subject.seed("dropout"),
        )
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        return None, f"Curvature was not measured, as the model has no second derivative: {error}"
    return found, _cut_short(subject, CURVATURE, found.n_blocks, CURVATURE_BLOCKS, "blocks")


def _interference(subject: Subject, _: Over) -> tuple[InterferenceTable | None, str | None]:
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


def _classes(subject: Subject, batch: Any) -> Tensor | None:
    """Return the class of each example where targets are classes."""
    if subject.workload.step is not None or not is_arrays(subject.pause.splits.train) or not isinstance(batch, tuple):
        return None
    targets = batch[1]
    return (
        targets.cpu() if isinstance(targets, Tensor) and targets.ndim == 1 and not targets.is_floating_point() else None
    )


def _order(subject: Subject, over: Over) -> tuple[OrderTable, str | None]:
    """Return the comparison of step orders, at the batch size and learning rate of the run."""
    draws = subject.draws("order", max(1, subject.batch_size // 2))
    held_out = read_batch(
        subject.workload,
        subject.pause.splits.valid,
        list(range(min(N_GRAM, examples_in(subject.pause.splits.valid)))),
        subject.device,
    )
    halves = _in_time(draws, over, a_block=2, most=N_PAIRS)
    found = measure_step_order(
        subject.pause.model,
        subject.mean_loss(),
        zip(halves, halves, strict=True),
        held_out,
        learning_rate=subject.learning_rate / 2,
        seed=subject.seed("dropout"),
    )
    table = order_table(found.learning_rate, found.same, found.held_out)
    return table, _cut_short(subject, ORDER, table.n_pairs, N_PAIRS, "pairs")


def _cut_short(subject: Subject, name: str, done: int, most: int, unit: str) -> str | None:
    """Return what to say of a part that ended before it had all it may use."""
    if done >= most:
        return None
    return (
        f"Step {subject.pause.step:,}, {name}: {done:,} of up to {most:,} {unit}, as its time was over; a higher "
        "--max-minutes gives more."
    )
