"""What does the noise-scale monitor add to a training step, and how narrow an interval does it give for that?

Blocks of steps with and without the monitor alternate, so that a slow spell of the machine meets both; one thread, and
its processor time, which others on the machine disturb less than the clock's.

Three ways to have micro-batches: four of 16 accumulated; one batch of 64 that measured steps split in two; two
processes with DistributedDataParallel and 64 examples each. "each" is what measuring every step adds, "share" that
divided by the steps from one measurement to the next, and "default" what the default was seen to add. Then 1,000 steps
with the default, on data with a pattern to learn, from a model that was trained for 100 steps and moves slowly: the
noise scale with its interval, and the factor from its lower to its upper end.

    python benchmarks/noise_overhead.py [--pairs N] [--steps N] [--write]
"""

import argparse
import datetime
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from batchlab.adapt.monitor import NoiseScaleMonitor
from batchlab.workloads.models import cnn, mlp
from batchlab.workloads.transformer import CausalTransformer
from evidence import write_evidence

N_TRAIN, BATCH, MICRO = 4096, 64, 16
N_TOKENS, LENGTH = 64, 32
WARM_UP_STEPS, WARM_UP_RATE, LEARNING_RATE = 100, 0.01, 1e-4
LEAST_STEPS = 1000
DEFAULT = 0
MODES = ("accumulation", "parts", "two workers")


@dataclass(frozen=True, slots=True)
class Case:
    """A model and its data."""

    name: str
    make: Callable[[], nn.Module]
    inputs: Tensor
    targets: Tensor


def images(name: str, make: Callable[[], nn.Module]) -> Case:
    """Return pictures of ten patterns in noise."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(10, (N_TRAIN,), generator=generator)
    patterns = torch.randn(10, 1, 28, 28, generator=generator)
    return Case(name, make, patterns[targets] + 2 * torch.randn(N_TRAIN, 1, 28, 28, generator=generator), targets)


def texts() -> Case:
    """Return sequences in which a token says, with some noise, which one follows."""
    generator = torch.Generator().manual_seed(0)
    follows = torch.randperm(N_TOKENS, generator=generator)
    rows = [torch.randint(N_TOKENS, (N_TRAIN,), generator=generator)]
    for _ in range(LENGTH):
        noise = torch.randint(N_TOKENS, (N_TRAIN,), generator=generator)
        rows.append(torch.where(torch.rand(N_TRAIN, generator=generator) < 0.2, noise, follows[rows[-1]]))
    tokens = torch.stack(rows, dim=1)
    return Case("transformer", transformer, tokens[:, :-1], tokens[:, 1:])


def transformer() -> nn.Module:
    return CausalTransformer(N_TOKENS, context=LENGTH, width=32, n_layers=1, n_heads=4)


CASES = {
    "MLP": lambda: images("MLP 784-256-10", lambda: mlp(784, 256, 10)),
    "CNN": lambda: images("CNN 8, 16", lambda: cnn(1, 8, 16, side=28, n_classes=10)),
    "transformer": texts,
}


class Loop:
    """A training loop that may be watched."""

    def __init__(self, case: Case, mode: str, every: int | None, rank: int = 0) -> None:
        torch.manual_seed(0)
        self.case, self.mode = case, mode
        self.model: nn.Module = case.make()
        if mode == "two workers":
            self.model = DistributedDataParallel(self.model)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=WARM_UP_RATE, momentum=0.9)
        self.monitor: NoiseScaleMonitor | None = None
        self.generator = torch.Generator().manual_seed(rank)
        self.run(WARM_UP_STEPS)
        self.optimizer.param_groups[0]["lr"] = LEARNING_RATE
        if every is not None:
            self.monitor = NoiseScaleMonitor(self.model, every=every or None)

    def run(self, steps: int) -> float:
        """Make so many steps and return the processor seconds of one."""
        started = time.process_time()
        for _ in range(steps):
            self.step()
        return (time.process_time() - started) / steps

    def step(self) -> None:
        """Make one step."""
        monitor = self.monitor
        self.optimizer.zero_grad()
        for part, weight in self.parts(torch.randint(N_TRAIN, (BATCH,), generator=self.generator)):
            outputs = self.model(self.case.inputs[part])
            loss = functional.cross_entropy(outputs.flatten(0, -2), self.case.targets[part].flatten())
            (loss if weight == 1 else weight * loss).backward()
            if monitor is not None:
                monitor.micro_batch(len(part), loss_weight=weight)
        if monitor is not None:
            monitor.step()
        self.optimizer.step()

    def parts(self, batch: Tensor) -> Any:
        """Return the parts of a batch with the weights of their losses."""
        if self.mode == "accumulation":
            return [(part, MICRO / BATCH) for part in batch.split(MICRO)]
        if self.mode == "parts" and self.monitor is not None:
            return self.monitor.parts(batch)
        return [(batch, 1.0)]


def measure(case: Case, mode: str, pairs: int, steps: int, rank: int = 0) -> dict[str, Any]:
    """Return the median of the added share of a step's time over pairs of blocks, and the interval after 1,000."""
    loops = {every: Loop(case, mode, every, rank) for every in (None, 1, DEFAULT)}
    times: dict[int | None, list[float]] = {every: [] for every in loops}
    for _ in range(pairs):
        for every, loop in loops.items():
            times[every].append(loop.run(steps))
    added = {every: [b / a - 1 for a, b in zip(times[None], times[every], strict=True)] for every in (1, DEFAULT)}
    watched = loops[DEFAULT]
    assert watched.monitor is not None
    watched.run(max(0, LEAST_STEPS - watched.monitor.n_steps))
    found = watched.monitor.noise_scale
    bounded = found.low is not None and found.high is not None and 0 < found.low and found.high < math.inf
    return {
        "case": case.name,
        "mode": mode,
        "every": watched.monitor.every,
        "step_us": 1e6 * statistics.median(times[None]),
        "added_each": statistics.median(added[1]),
        "added_default": statistics.median(added[DEFAULT]),
        "added_default_quartiles": statistics.quantiles(added[DEFAULT], n=4)[::2],
        "noise_scale": found.value,
        "low": found.low,
        "high": found.high if bounded else "inf",
        "factor": found.high / found.low if bounded else "inf",  # type: ignore[operator]
        "after_steps": watched.monitor.n_steps,
    }


def worker(rank: int, folder: str, case: str, pairs: int, steps: int) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(str(Path(folder) / "store"), 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60))
    found = measure(CASES[case](), "two workers", pairs, steps, rank)
    if rank == 0:
        torch.save(found, Path(folder) / "found")
    distributed.destroy_process_group()


def measured(case: str, mode: str, pairs: int, steps: int) -> dict[str, Any]:
    if mode != "two workers":
        return measure(CASES[case](), mode, pairs, steps)
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(worker, (folder, case, pairs, steps), nprocs=2)  # type: ignore[no-untyped-call]
        found: dict[str, Any] = torch.load(Path(folder) / "found")
        return found


def shown(number: object) -> str:
    return f"{number:.3g}" if isinstance(number, float) else str(number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--steps", type=int, default=50, help="of a block")
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{'model':<16}{'mode':<14}{'step':>9}{'each':>8}{'share':>7}{'default':>9}   noise scale, low, high, high/low"
    )
    figures = []
    for case in CASES:
        for mode in MODES:
            row = measured(case, mode, asked.pairs, asked.steps)
            figures.append(row)
            print(f"{row['case']:<16}{mode:<14}{row['step_us']:>6.0f} us", end="")
            share = row["added_each"] / row["every"]
            print(f"{row['added_each']:>+8.1%}{share:>+7.1%}{row['added_default']:>+9.1%}", end="   ")
            print(*(shown(row[key]) for key in ("noise_scale", "low", "high", "factor")))
    if asked.write:
        write_evidence("noise-overhead", {"pairs": asked.pairs, "steps": asked.steps}, figures)


if __name__ == "__main__":
    main()
