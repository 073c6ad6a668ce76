"""Training loops that may be watched: the models, the data and the watchers of `noise_overhead.py`."""

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from batchlab.adapt.monitor import NoiseScaleMonitor
from batchlab.workloads.models import cnn, mlp
from batchlab.workloads.transformer import CausalTransformer

N_TRAIN, BATCH, MICRO = 4096, 64, 16
N_TOKENS, LENGTH = 64, 32
WARM_UP_RATE = 0.01
ACCUMULATION, PARTS, WORKERS = "accumulation", "one device", "two workers"
MODES = (ACCUMULATION, PARTS, WORKERS)

Part = tuple[Tensor, float]


@dataclass(frozen=True, slots=True)
class Case:
    """A model and its data, and for how many steps it is trained before anything is measured."""

    name: str
    make: Callable[[], nn.Module]
    inputs: Tensor
    targets: Tensor
    warm_up_steps: int

    def loss(self, model: nn.Module, rows: Tensor) -> Tensor:
        """Return the mean loss of some examples."""
        return mean_loss(model, (self.inputs[rows], self.targets[rows]))


def mean_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return functional.cross_entropy(model(batch[0]).flatten(0, -2), batch[1].flatten())


def images(name: str, make: Callable[[], nn.Module], noise: float, warm_up_steps: int) -> Case:
    """Return pictures of ten patterns in noise."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(10, (N_TRAIN,), generator=generator)
    patterns = torch.randn(10, 1, 28, 28, generator=generator)
    inputs = patterns[targets] + noise * torch.randn(N_TRAIN, 1, 28, 28, generator=generator)
    return Case(name, make, inputs, targets, warm_up_steps)


def texts() -> Case:
    """Return sequences in which a token says, with some noise, which one follows."""
    generator = torch.Generator().manual_seed(0)
    follows = torch.randperm(N_TOKENS, generator=generator)
    rows = [torch.randint(N_TOKENS, (N_TRAIN,), generator=generator)]
    for _ in range(LENGTH):
        noise = torch.randint(N_TOKENS, (N_TRAIN,), generator=generator)
        rows.append(torch.where(torch.rand(N_TRAIN, generator=generator) < 0.2, noise, follows[rows[-1]]))
    tokens = torch.stack(rows, dim=1)
    return Case("transformer", transformer, tokens[:, :-1], tokens[:, 1:], 100)


def transformer() -> nn.Module:
    return CausalTransformer(N_TOKENS, context=LENGTH, width=32, n_layers=1, n_heads=4)


CASES = {
    "MLP": lambda: images("MLP 784-256-10", lambda: mlp(784, 256, 10), 2.0, 100),
    "CNN": lambda: images("CNN 8, 16", lambda: cnn(1, 8, 16, side=28, n_classes=10), 4.0, 120),
    "transformer": texts,
}


class Watcher(Protocol):
    """What a loop calls in every step."""

    def parts(self, batch: Tensor) -> Iterable[Part]:
        """Return the parts of a batch that go through one after the other, with the weights of their losses."""

    def micro_batch(self, n_examples: int, weight: float) -> None:
        """Note a backward pass."""

    def step(self, batch: Tensor) -> None:
        """Note the end of a step, before the optimizer's."""


def parts_of(batch: Tensor, mode: str) -> Sequence[Part]:
    """Return the micro-batches of an unwatched step."""
    return [(part, MICRO / BATCH) for part in batch.split(MICRO)] if mode == ACCUMULATION else [(batch, 1.0)]


@dataclass(slots=True)
class Unwatched:
    """A plain loop."""

    mode: str

    def parts(self, batch: Tensor) -> Iterable[Part]:
        """See `Watcher`."""
        return parts_of(batch, self.mode)

    def micro_batch(self, n_examples: int, weight: float) -> None:
        """See `Watcher`."""

    def step(self, batch: Tensor) -> None:
        """See `Watcher`."""


@dataclass(slots=True)
class Monitored:
    """A loop with the monitor."""

    mode: str
    monitor: NoiseScaleMonitor

    def parts(self, batch: Tensor) -> Iterable[Part]:
        """See `Watcher`."""
        return self.monitor.parts(batch) if self.mode == PARTS else parts_of(batch, self.mode)

    def micro_batch(self, n_examples: int, weight: float) -> None:
        """See `Watcher`."""
        self.monitor.micro_batch(n_examples, loss_weight=weight)

    def step(self, batch: Tensor) -> None:
        """See `Watcher`."""
        self.monitor.step()


class Traintools:
    """A loop with traintools, as its documentation has it.

    With accumulation it differences the accumulated gradients in every step; without, it makes two more passes over the
    batch in every 200th step. It prints a number without an interval: the ratio of two fading averages, 100,000 where
    the lower one is not above 0.
    """

    EVERY = 200

    def __init__(self, case: Case, mode: str, model: nn.Module) -> None:
        """Take the model; needs the package."""
        import traintools

        self.case, self.mode, self.model, self.package = case, mode, model, traintools
        self.accumulated = traintools.GradientAccumulationGNS(model, MICRO)
        self.average = traintools.GNSEstimator()
        self.n_steps, self.printed = 0, list[float]()

    def parts(self, batch: Tensor) -> Iterable[Part]:
        """See `Watcher`."""
        return parts_of(batch, self.mode)

    def micro_batch(self, n_examples: int, weight: float) -> None:
        """See `Watcher`."""
        if self.mode == ACCUMULATION:
            self.accumulated.record_microbatch()

    def step(self, batch: Tensor) -> None:
        """See `Watcher`."""
        self.n_steps += 1
        if self.mode == ACCUMULATION:
            self.printed.append(self.accumulated.compute(step=self.n_steps).gns)
            self.accumulated.reset_accumulation()
        elif self.n_steps % self.EVERY == 0:
            found = self.package.estimate_gns(
                self.model,
                lambda outputs, targets: functional.cross_entropy(outputs.flatten(0, -2), targets.flatten()),
                self.case.inputs[batch],
                self.case.targets[batch],
            )
            smooth = self.average.update_from_estimates(found.tr_sigma, found.g_squared, BATCH)
            self.printed.append(smooth.gns)


class Loop:
    """A training loop and who watches it."""

    def __init__(self, case: Case, mode: str, watched_by: Callable[[nn.Module], Watcher], rank: int = 0) -> None:
        """Train for the first steps, unwatched; from then on the rate is 0, and the model stands still."""
        torch.manual_seed(0)
        self.case, self.mode = case, mode
        self.model: nn.Module = case.make()
        if mode == WORKERS:
            self.model = DistributedDataParallel(self.model)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=WARM_UP_RATE, momentum=0.9)
        self.generator = torch.Generator().manual_seed(rank)
        self.watcher: Any = Unwatched(mode)
        self.run(case.warm_up_steps)
        self.optimizer.param_groups[0]["lr"] = 0.0
        self.watcher = watched_by(self.model)

    def run(self, steps: int) -> float:
        """Make so many steps and return the seconds of one."""
        started = time.perf_counter()
        for _ in itertools.repeat(None, steps):
            self.step()
        return (time.perf_counter() - started) / max(1, steps)

    def step(self) -> None:
        """Make one step."""
        self.optimizer.zero_grad()
        batch = torch.randint(N_TRAIN, (BATCH,), generator=self.generator)
        for part, weight in self.watcher.parts(batch):
            loss = self.case.loss(self.model, part)
            (loss if weight == 1 else weight * loss).backward()
            self.watcher.micro_batch(len(part), weight)
        self.watcher.step(batch)
        self.optimizer.step()
