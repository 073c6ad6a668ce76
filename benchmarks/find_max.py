"""How many attempts do finders of the largest batch size need, and how near do they come to it?

First on fake devices, whose memory as a function of the batch size is known: a step beyond the limit raises what torch
raises on a GPU. Then with a real limit: a step that fills a mebibyte an example, in a process that may map only so much
more. Beside `find_max_batch_size`: Lightning's BatchSizeFinder in both of its modes, and Accelerate's
`find_executable_batch_size`, which only goes down, from its own start (128) and from one that is large enough.

"found/true" is the batch size over the largest that fits: above 1 it would not fit. Lightning's binary search takes off
5 % at the end by default, which is its reserve; ours is a part of the limit that it is given.

    python benchmarks/find_max.py [--write]
"""

import argparse
import bisect
import json
import logging
import random
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from batchlab.measure.host_memory import find_max_batch_size_on_host
from batchlab.measure.max_batch_size import find_max_batch_size
from evidence import write_evidence

MIB = 1 << 20
LIMIT = 5000.0
ROOM = 512 * MIB
HOST_LIMIT = 768 * MIB
LARGEST = 10_000
LOW = 8
STEPS = 3


@dataclass
class Device:
    """Memory by batch size, a limit, and the sizes that were run on it, each attempt once."""

    memory: Callable[[int], float]
    limit: float = LIMIT
    ran: list[int] = field(default_factory=list)
    peak: float = 0.0

    def step(self, batch_size: int) -> None:
        """Make a step: an attempt is several at one size."""
        if self.ran[-1:] != [batch_size]:
            self.ran.append(batch_size)
        if self.memory(batch_size) > self.limit:
            raise RuntimeError("CUDA out of memory. Tried to allocate 1.00 GiB")
        self.peak = self.memory(batch_size)


@dataclass(frozen=True, slots=True)
class Found:
    """What a finder answered, and after how many attempts."""

    batch_size: int
    attempts: int


Step = Callable[[int], None]


def devices() -> dict[str, Callable[[int], float]]:
    """Return memory by batch size: affine ones, and those that are not."""
    return {
        "affine": lambda b: 500.0 + 3 * b,
        "affine, 2 % noise": lambda b: (500 + 3 * b) * random.Random(b).uniform(0.98, 1.02),
        "steeper above 512": lambda b: 500.0 + 3 * b + 3 * max(0, b - 512),
        "steeper from 100": lambda b: 500 + 0.3 * min(b, 100) + 30 * max(0, b - 100),
        "a floor": lambda b: max(2000.0, 500 + 3 * b),
        "few fit": lambda b: 500.0 + 900 * b,
    }


def ours(device: Device) -> Found:
    found = find_max_batch_size(device.step, LOW, peak_memory=lambda: device.peak, limit=LIMIT)
    return Found(found.batch_size, len(found.attempts))


def ours_by_trial(device: Device) -> Found:
    found = find_max_batch_size(device.step, LOW)
    return Found(found.batch_size, len(found.attempts))


def accelerate_from(start: int) -> Callable[[Device], Found]:
    def find(device: Device) -> Found:
        from accelerate.utils import find_executable_batch_size

        def run(batch_size: int) -> int:
            for _ in range(STEPS):
                device.step(batch_size)
            return batch_size

        return Found(find_executable_batch_size(run, starting_batch_size=start)(), len(device.ran))

    return find


def lightning(mode: str, **options: Any) -> Callable[[Device], Found]:
    def find(device: Device) -> Found:
        import lightning.pytorch as library
        from lightning.pytorch.tuner import Tuner
        from torch.utils.data import DataLoader

        # Importing it has set its level.
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

        class Module(library.LightningModule):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.batch_size, self.layer = LOW, nn.Linear(1, 1)

            def train_dataloader(self) -> DataLoader[Any]:
                return DataLoader(range(LARGEST), self.batch_size, collate_fn=len)  # type: ignore[arg-type]

            def training_step(self, batch: int, _: int) -> torch.Tensor:
                device.step(batch)
                return self.layer(torch.zeros(1, 1)).mean()

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return torch.optim.SGD(self.parameters(), lr=0.0)

        with tempfile.TemporaryDirectory() as folder:
            trainer = library.Trainer(
                default_root_dir=folder,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                max_epochs=1,
            )
            tuner = Tuner(trainer)
            size = tuner.scale_batch_size(Module(), mode=mode, init_val=LOW, steps_per_trial=STEPS, **options)
        return Found(int(size or 0), len(device.ran))

    return find


FINDERS: dict[str, Callable[[Device], Found]] = {
    "batchlab": ours,
    "batchlab, peaks unknown": ours_by_trial,
    "Lightning, power": lightning("power"),
    "Lightning, binsearch": lightning("binsearch"),
    "Lightning, binsearch, margin 0": lightning("binsearch", margin=0.0),
    "Accelerate from 128": accelerate_from(128),
    "Accelerate from 8192": accelerate_from(8192),
}


def on_fake_devices() -> list[dict[str, Any]]:
    rows = []
    for device_name, memory in devices().items():
        true = bisect.bisect_right(range(1, LARGEST), LIMIT, key=memory)
        for name, find in FINDERS.items():
            found = find(Device(memory))
            rows.append({"device": device_name, "finder": name, "true": true, **_figures(found, true)})
    return rows


def on_the_host() -> list[dict[str, Any]]:
    """Return what the finders find where the memory of the process is really limited."""
    found = find_max_batch_size_on_host(fill, LOW, limit=HOST_LIMIT, threads=1)
    first = found.attempts[0]
    assert first.peak is not None
    true = first.batch_size + int((HOST_LIMIT - first.peak) / MIB)
    name = "real limit, a process a size"
    ours_there = Found(found.batch_size, len(found.attempts))
    rows = [{"device": name, "finder": "batchlab", "true": true, **_figures(ours_there, true)}]
    for name in list(FINDERS)[1:]:
        command = [sys.executable, __file__, "--inside", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            rows.append({"device": "real limit", "finder": name, "failed": done.stderr.strip().splitlines()[-1]})
            continue
        size, attempts, true = json.loads(done.stdout.splitlines()[-1])
        rows.append({"device": "real limit", "finder": name, "true": true, **_figures(Found(size, attempts), true)})
    return rows


def fill(batch_size: int) -> None:
    """Make a step that fills one mebibyte an example."""
    held = [torch.ones(MIB // 4) for _ in range(batch_size)]
    assert len(held) == batch_size


def inside(name: str) -> None:
    """Limit this process, run one finder in it, and print what it found, its attempts and the true answer."""
    torch.set_num_threads(1)
    # Loads the framework, which is no part of the limit.
    FINDERS[name](Device(devices()["few fit"]))
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ROOM, resource.RLIM_INFINITY))
    device = Real(lambda batch_size: 0.0)
    found = FINDERS[name](device)
    true = bisect.bisect_right(range(1, 2 * ROOM // MIB), 0, key=lambda size: not fits(size))
    print(json.dumps([found.batch_size, found.attempts, true]))


class Real(Device):
    """Memory that is really filled."""

    def step(self, batch_size: int) -> None:
        """Make a step."""
        super().step(batch_size)
        fill(batch_size)


def fits(batch_size: int) -> bool:
    try:
        fill(batch_size)
    except RuntimeError:
        return False
    return True


def _figures(found: Found, true: int) -> dict[str, Any]:
    return {"found": found.batch_size, "attempts": found.attempts, "found_over_true": round(found.batch_size / true, 3)}


def show(rows: list[dict[str, Any]]) -> None:
    print(f"{'device':30} {'finder':32} {'true':>6} {'found':>6} {'attempts':>8} {'found/true':>10}")
    for row in rows:
        if "failed" in row:
            print(f"{row['device']:30} {row['finder']:32} {row['failed']}")
            continue
        figures = f"{row['true']:6} {row['found']:6} {row['attempts']:8} {row['found_over_true']:10.2f}"
        print(f"{row['device']:30} {row['finder']:32} {figures}")


def main() -> None:
    """Compare the finders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--inside", choices=list(FINDERS), help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    if asked.inside:
        inside(asked.inside)
        return
    rows = [*on_fake_devices(), *on_the_host()]
    show(rows)
    if asked.write:
        peers = {name: version(name) for name in ("lightning", "accelerate")}
        settings = {
            **peers,
            "limit": LIMIT,
            "low": LOW,
            "steps": STEPS,
            "room_mib": ROOM // MIB,
            "host_limit_mib": HOST_LIMIT // MIB,
        }
        write_evidence("find-max", settings, rows)


if __name__ == "__main__":
    main()
