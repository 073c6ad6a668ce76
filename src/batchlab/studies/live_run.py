"""A training run that pauses, is looked at, goes on, and from which other runs can branch off."""

import copy
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from batchlab.records import TrialSettings
from batchlab.studies.pilot import LAST_BATCH
from batchlab.train.evaluation import Evaluation
from batchlab.train.order import batches, epochs, micro_batches
from batchlab.train.reading import on_device, open_reader
from batchlab.train.seeding import derive_seed, seed_everything
from batchlab.train.step import Stepper, make_stepper, train_step
from batchlab.workload import Splits, Workload
from batchlab.workloads.arrays import map_arrays
from batchlab.workloads.datasets import examples_in, is_arrays

ENDLESS = 1 << 62
# Losses are those of at most so many validation examples, the same ones for every run.
MOST_EVALUATED = 2048
# A run is evaluated whenever its examples have grown by this share.
EVALUATION_GROWTH = 1 / 12


@dataclass(frozen=True, slots=True)
class Subject:
    """What runs are made of: a workload, its data on the device, and what they are judged by.

    That is the validation loss; with a target the metric, in which the target is. `is_over` is asked now and then
    whether the time is up.
    """

    workload: Workload
    splits: Splits
    validation: Evaluation
    seed: int
    target: float | None = None
    is_over: Callable[[], bool] = lambda: False

    @property
    def target_level(self) -> float | None:
        """Return the level at which a run has reached the target."""
        return None if self.target is None else self._sign * self.target

    def level(self, loss: float, metric: float) -> float:
        """Return what a run is judged by, the lower the better; not finite where it diverged."""
        return loss if self.target is None or not math.isfinite(loss) else self._sign * metric

    @property
    def _sign(self) -> float:
        return -1.0 if self.workload.metric.higher_is_better else 1.0


def open_subject(
    workload: Workload,
    seed: int,
    device: str,
    target: float | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> Subject:
    """Draw the data of a seed and open its validation examples; test data are not among them."""
    drawn = workload.splits(derive_seed(seed, "data", 0))
    splits = Splits(on_device(drawn.train, device), on_device(drawn.valid, device), None)
    return Subject(workload, splits, Evaluation(workload, _some_of(splits.valid, seed), device), seed, target, is_over)


@dataclass
class LiveRun:
    """A run under way; random numbers of a stretch follow from the run's seed and the step it begins with.

    `losses` are (loss, metric) on validation examples at `positions`, in examples since the run began or branched off.
    A run ends at the level `stop_at`.
    """

    subject: Subject
    settings: TrialSettings
    stepper: Stepper
    order_seed: int
    stop_at: float | None = None
    steps: int = 0
    positions: list[int] = field(default_factory=list)
    losses: list[tuple[float, float]] = field(default_factory=list)

    @property
    def model(self) -> nn.Module:
        """Return the live model; it may be looked at, not changed."""
        return self.stepper.model

    @property
    def batch_size(self) -> int:
        """Return the examples of a step."""
        return self.settings.batch_size

    @property
    def learning_rate(self) -> float:
        """Return the learning rate, which is constant."""
        return self.settings.learning_rate

    @property
    def examples(self) -> int:
        """Return how many examples it has trained on, since it branched off."""
        return self.steps * self.settings.batch_size

    @property
    def curve(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return the examples at each evaluation and the levels there: validation losses, or see `Subject`."""
        return self.positions, [self.subject.level(*pair) for pair in self.losses]

    @property
    def is_alive(self) -> bool:
        """Return whether the last loss is finite."""
        return not self.losses or math.isfinite(self.losses[-1][0])

    @property
    def is_at_its_end(self) -> bool:
        """Return whether it diverged, or came to where it stops."""
        if not self.is_alive:
            return True
        return self.stop_at is not None and bool(self.losses) and self.subject.level(*self.losses[-1]) <= self.stop_at

    def train_to(self, examples: int) -> None:
        """Go on up to so many examples, or until the run is at its end or the time is up."""
        n_new = round(examples / self.batch_size) - self.steps
        if n_new < 1 or self.is_at_its_end:
            return
        seed_everything(derive_seed(self.order_seed, "stretch", self.steps))
        ends = self.steps + n_new
        read = open_reader(
            self.subject.workload,
            self.subject.splits.train,
            (chunk for chunks in self._stream(n_new) for chunk in chunks),
            derive_seed(self.order_seed, "items", self.steps),
            self.settings.device,
        )
        self.model.train()
        loss_sum: Any = 0.0
        for chunks in self._stream(n_new):
            loss_sum = loss_sum + train_step(self.stepper, chunks, read)[0]
            self.steps += 1
            if self.steps == ends or self._is_due():
                self._evaluate(finite=math.isfinite(float(loss_sum)))
                if self.is_at_its_end or self.subject.is_over():
                    return

    def level_now(self) -> float:
        """Return the level where it stands."""
        return self.subject.level(*self.subject.validation(self.model))

    def branch(self, batch_size: int, learning_rate: float, replica: int) -> "LiveRun":
        """Return a run that goes on from here with another batch size and rate; branches of a replica see one order.

        It does not stop at a target.
        """
        settings = _changed(self.settings, batch_size, learning_rate)
        # Settings that the optimizer holds, moments and all, come along; only the rate is another.
        model = copy.deepcopy(self.model)
        stepper = make_stepper(self.subject.workload, model, settings)
        state = copy.deepcopy(self.stepper.optimizer.state_dict())
        for group, new in zip(state["param_groups"], stepper.optimizer.state_dict()["param_groups"], strict=True):
            group["lr"] = new["lr"]
        stepper.optimizer.load_state_dict(state)
        return LiveRun(self.subject, settings, stepper, derive_seed(self.order_seed, "branch", self.steps, replica))

    def _stream(self, n_steps: int) -> Iterator[Sequence[Tensor]]:
        """Yield the example indices of the steps to come, in parts where a batch does not go through at once."""
        settings, subject = self.settings, self.subject
        orders = epochs(subject.workload, subject.splits.train, self.order_seed)
        stream = batches(orders, settings.batch_size, ENDLESS, LAST_BATCH)
        coming = itertools.islice(stream, self.steps, self.steps + n_steps)
        return micro_batches(coming, settings.micro_batch_size or settings.batch_size)

    def _is_due(self) -> bool:
        last = self.positions[-1] if self.positions else 0
        return self.examples - last >= EVALUATION_GROWTH * self.examples

    def _evaluate(self, *, finite: bool) -> None:
        loss, metric = self.subject.validation(self.model)
        self.positions.append(self.examples)
        self.losses.append((loss if finite else math.nan, metric))


def start_run(subject: Subject, settings: TrialSettings) -> LiveRun:
    """Return a run from fresh weights; the weights and the order of the data are the same for all runs of a seed."""
    seed = subject.seed
    seed_everything(derive_seed(seed, "weights", settings.seed))
    model = subject.workload.make_model().to(settings.device)
    order_seed = derive_seed(seed, "order", settings.seed, settings.replica)
    stepper = make_stepper(subject.workload, model, settings)
    return LiveRun(subject, settings, stepper, order_seed, subject.target_level)


def _changed(settings: TrialSettings, batch_size: int, learning_rate: float) -> TrialSettings:
    return dataclasses.replace(settings, batch_size=batch_size, learning_rate=learning_rate)


def _some_of(split: Any, seed: int) -> Any:
    """Return at most 2048 examples of a split, drawn by the seed."""
    count = examples_in(split)
    if count <= MOST_EVALUATED:
        return split
    generator = torch.Generator().manual_seed(derive_seed(seed, "evaluated"))
    chosen = torch.randperm(count, generator=generator)[:MOST_EVALUATED].sort().values
    if is_arrays(split):
        return map_arrays(lambda tensor: tensor[chosen.to(tensor.device)], split)
    return Subset(split, chosen.tolist())
