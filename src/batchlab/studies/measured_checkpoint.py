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
Part = Callable[["Checkpoint", Over], tuple[Any, str | None]]


def time_weights(*, with_norms: bool) -> list[float]:
    """Return the weight of each part that `measure_checkpoint` measures, in its order."""
    return list(WEIGHTS.values()) if with_norms else [WEIGHTS[NOISE]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
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
    checkpoint: Checkpoint, shares: TimeShares, told: Callable[[str], None], *, with_norms: bool
) -> CheckpointFindings:
    """Measure one part after the other, each until it has enough or its share of the time is over; notes say which.

    Args:
        checkpoint: the model, and what to draw.
        shares: of time, with the weights of `time_weights`.
        told: called with the name of each part as it begins.
        with_norms: measure all parts, or the noise scale alone.
    """
    notes = []

    def measured(name: str, measure: Part) -> Any:
        told(name)
        found, note = measure(checkpoint, shares.next())
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
        step=checkpoint.pause.step,
        examples=checkpoint.pause.examples,
        loss=checkpoint.pause.loss,
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


def _noise(checkpoint: Checkpoint, over: Over) -> tuple[NoiseMeasurement, str | None]:
    draws = checkpoint.draws("noise", MICRO_BATCH)
    found = measure_noise(
        checkpoint.pause.model,
        checkpoint.mean_loss(),
        _in_time(draws, over, a_block=MICRO_BATCHES_PER_BLOCK, most=MOST_BLOCKS),
        micro_batches_per_block=MICRO_BATCHES_PER_BLOCK,
        count=lambda _: MICRO_BATCH,
        seed=checkpoint.seed("dropout"),
    )
    done = found.noise_scale.n_blocks + found.n_skipped
    return found, None if is_settled(found.noise_scale) else _cut_short(checkpoint, NOISE, done, MOST_BLOCKS, "blocks")


def _norms(checkpoint: Checkpoint, over: Over) -> tuple[NormTable | None, str | None]:
    smallest = MICRO_BATCH if coupling_module(checkpoint.pause.model) is not None else 1
    most = max(2 * smallest, min(LARGEST, checkpoint.n_train))
    sizes = tuple(2**k for k in range(11) if smallest <= 2**k <= most)
    streams = draw_streams(checkpoint.n_train, sizes[-1], checkpoint.n_draws, seed=checkpoint.seed("norms"))
    drawn = measure_gradient_norms(
        checkpoint.pause.model,
        checkpoint.mean_loss(),
        checkpoint.read,
        _in_time(streams, over, a_block=1, most=checkpoint.n_draws),
        batch_sizes=sizes,
        seed=checkpoint.seed("norms"),
    )
    done = len(drawn.sq_norms) + drawn.n_skipped
    note = _cut_short(checkpoint, NORMS, done, checkpoint.n_draws, "draws")
    if len(drawn.sq_norms) < min(FEWEST_STREAMS, checkpoint.n_draws):
        return None, f"{note} Fewer than {FEWEST_STREAMS} make no table." if note else None
    return norm_table(drawn.batch_sizes, drawn.sq_norms, n_skipped=drawn.n_skipped), note


def _curvature_noise(checkpoint: Checkpoint, over: Over) -> tuple[NoiseScale | None, str | None]:
    """Return the noise scale weighted by curvature, or why there is none."""
    if coupling_module(checkpoint.pause.model) is not None:
        return None, None
    draws = checkpoint.draws("curvature", CURVATURE_BATCH)
    try:
        found = measure_curvature_noise(
            checkpoint.pause.model,
            checkpoint.mean_loss(),
            _in_time(draws, over, a_block=3, most=CURVATURE_BLOCKS),
            count=lambda _: CURVATURE_BATCH,
            seed=checkpoint.seed("dropout"),
        )
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        return None, f"Curvature was not measured, as the model has no second derivative: {error}"
    return found, _cut_short(checkpoint, CURVATURE, found.n_blocks, CURVATURE_BLOCKS, "blocks")


def _interference(checkpoint: Checkpoint, _: Over) -> tuple[InterferenceTable | None, str | None]:
    """Return the table of pairs, or why there is none."""
    n = min(N_GRAM, checkpoint.n_train)
    generator = torch.Generator().manual_seed(checkpoint.seed("pairs"))
    batch = checkpoint.read(torch.randperm(checkpoint.n_train, generator=generator)[:n])
    if coupling_module(checkpoint.pause.model) is not None:
        return None, None
    try:
        gram = gradient_gram(checkpoint.pause.model, checkpoint.mean_loss(), batch).numpy()
    except (WorkloadError, ValueError) as error:
        return None, f"Pairs of examples were not compared: {error}"
    labels = _classes(checkpoint, batch)
    if labels is None:
        return InterferenceTable(pairwise_interference(gram)), None
    same = (labels[:, None] == labels).numpy()
    return InterferenceTable(*(pairwise_interference(gram, among=among) for among in (None, same, ~same))), None


def _classes(checkpoint: Checkpoint, batch: Any) -> Tensor | None:
    """Return the class of each example where targets are classes."""
    if (
        checkpoint.workload.step is not None
        or not is_arrays(checkpoint.pause.splits.train)
        or not isinstance(batch, tuple)
    ):
        return None
    targets = batch[1]
    return (
        targets.cpu() if isinstance(targets, Tensor) and targets.ndim == 1 and not targets.is_floating_point() else None
    )


def _order(checkpoint: Checkpoint, over: Over) -> tuple[OrderTable, str | None]:
    """Return the comparison of step orders, at the batch size and learning rate of the run."""
    draws = checkpoint.draws("order", max(1, checkpoint.batch_size // 2))
    held_out = read_batch(
        checkpoint.workload,
        checkpoint.pause.splits.valid,
        list(range(min(N_GRAM, examples_in(checkpoint.pause.splits.valid)))),
        checkpoint.device,
    )
    halves = _in_time(draws, over, a_block=2, most=N_PAIRS)
    found = measure_step_order(
        checkpoint.pause.model,
        checkpoint.mean_loss(),
        zip(halves, halves, strict=True),
        held_out,
        learning_rate=checkpoint.learning_rate / 2,
        seed=checkpoint.seed("dropout"),
    )
    table = order_table(found.learning_rate, found.same, found.held_out)
    return table, _cut_short(checkpoint, ORDER, table.n_pairs, N_PAIRS, "pairs")


def _cut_short(checkpoint: Checkpoint, name: str, done: int, most: int, unit: str) -> str | None:
    """Return what to say of a part that ended before it had all it may use."""
    if done >= most:
        return None
    return (
        f"Step {checkpoint.pause.step:,}, {name}: {done:,} of up to {most:,} {unit}, as its time was over; a higher "
        "--max-minutes gives more."
    )
