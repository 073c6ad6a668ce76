"""What does the noise-scale monitor add to a training step, and how narrow an interval does it give for that?

Three ways to have micro-batches: four of 16 accumulated; one batch of 64 on one device, which measured steps split in
two; two processes with DistributedDataParallel and 64 examples each. Blocks of steps without a monitor, with its
default, with one that measures every step, and with traintools where that is installed, alternate, so that a slow spell
of the machine meets all; one thread each. What is added is the median of the ratios of neighbors and its 95 %
interval.

The model was trained for some 100 steps; from then on every step is made in full but at a learning rate of 0, so that
its noise scale is one number, which every example's own gradient tells: "true". After 1,000 steps there is the noise
scale by the default with its interval and the factor from its lower to its upper end, and the factor that measuring
each step gives. traintools prints a number; its range is that of the last 500 steps.

    python benchmarks/noise_overhead.py [--steps N] [--case NAME] [--write]
"""

import argparse
import datetime
import math
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from batchlab.adapt.measuring_pace import ALLOWED
from batchlab.adapt.monitor import NoiseScaleMonitor
from batchlab.numerics.noise_scale import NoiseScale
from evidence import write_evidence
from gradient_norm_law import exact
from noise_loops import CASES, MODES, WORKERS, Case, Loop, Monitored, Traintools, Unwatched, Watcher, mean_loss
from spread import median_interval, spread

STEPS, LAST = 1000, 500
LEAST_BLOCK = 12
# The default times itself in the first steps of a run; it is compared afterward.
TIMED_STEPS = 40
PLAIN, DEFAULT, EACH, PEER = "plain", "default", "each", "traintools"


def watchers(case: Case, mode: str) -> dict[str, Callable[[nn.Module], Watcher]]:
    """Return who watches, by name."""
    found: dict[str, Callable[[nn.Module], Watcher]] = {
        PLAIN: lambda _: Unwatched(mode),
        DEFAULT: lambda model: Monitored(mode, NoiseScaleMonitor(model)),
        EACH: lambda model: Monitored(mode, NoiseScaleMonitor(model, every=1)),
    }
    if mode != WORKERS and find_spec("traintools") is not None:
        found[PEER] = lambda model: Traintools(case, mode, model)
    return found


def measure(case: Case, mode: str, steps: int, rank: int = 0) -> dict[str, Any]:
    """Return what each watcher adds to a step, and what it says after 1,000."""
    loops = {name: Loop(case, mode, by, rank) for name, by in watchers(case, mode).items()}
    for loop in loops.values():
        loop.run(TIMED_STEPS)
    every = loops[DEFAULT].watcher.monitor.every
    # Whole cycles of the default, so that every block has its share of measured steps.
    block = every * -(-LEAST_BLOCK // every)
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(max(1, (steps - TIMED_STEPS) // block)):
        for name, loop in loops.items():
            times[name].append(loop.run(block))
    row = {"case": case.name, "mode": mode, "every": every, "steps_of_a_block": block}
    row["step_us"] = {key: 1e6 * value for key, value in spread(times[PLAIN]).items()}
    for name in loops.keys() - {PLAIN}:
        row[f"{name}_added"] = median_interval([b / a - 1 for a, b in zip(times[PLAIN], times[name], strict=True)])
    for name in (DEFAULT, EACH):
        row[name] = said(loops[name].watcher.monitor.noise_scale)
    row["true"] = true_noise_scale(loops[DEFAULT])
    if PEER in loops and loops[PEER].watcher.printed:
        printed = loops[PEER].watcher.printed
        row[PEER] = {"last": printed[-1], **spread(printed[-LAST:])}
    return row


def said(found: NoiseScale) -> dict[str, Any]:
    """Return value, interval and its width as a factor."""
    bounded = found.low is not None and found.high is not None and 0 < found.low and found.high < math.inf
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high if bounded else "inf",
        "factor": found.high / found.low if bounded else "inf",  # type: ignore[operator]
        "n_blocks": found.n_blocks,
    }


def true_noise_scale(loop: Loop) -> float:
    """Return tr(Σ)/|G|² of the data set at a loop's parameters."""
    model = loop.model.module if isinstance(loop.model, DistributedDataParallel) else loop.model
    signal, trace = exact(model, loop.case.inputs, loop.case.targets, mean_loss)
    return trace / signal


def worker(rank: int, folder: str, case: str, steps: int) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(str(Path(folder) / "store"), 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60))
    found = measure(CASES[case](), WORKERS, steps, rank)
    if rank == 0:
        torch.save(found, Path(folder) / "found")
    distributed.destroy_process_group()


def measured(case: str, mode: str, steps: int) -> dict[str, Any]:
    if mode != WORKERS:
        return measure(CASES[case](), mode, steps)
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(worker, (folder, case, steps), nprocs=2)  # type: ignore[no-untyped-call]
        found: dict[str, Any] = torch.load(Path(folder) / "found", weights_only=False)
        return found


def share(added: dict[str, float]) -> str:
    """Return the median of what is added and its interval."""
    return f"{added['median']:+.1%} ({added['low']:+.1%} to {added['high']:+.1%})"


def number(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, float) and value >= 100 else f"{value:.3g}" if value != "inf" else "inf"


def print_row(row: dict[str, Any]) -> None:
    """Print one row: what is added, what is known for it, and what the peer adds and prints."""
    default, each = row[DEFAULT], row[EACH]
    value = "unresolved" if default["value"] is None else number(default["value"])
    print(f"{row['case']:<15}{row['mode']:<14}{row['step_us']['median']:>7,.0f} us  every {row['every']:>3}", end="  ")
    print(f"{share(row['default_added']):<26}each {row['each_added']['median']:+.1%}")
    print(f"{'':<29}{value} ({number(default['low'])} to {number(default['high'])}), a factor of", end=" ")
    print(f"{number(default['factor'])}; each step {number(each['factor'])}; true {number(row['true'])}")
    if PEER in row:
        peer = row[PEER]
        print(f"{'':<29}traintools {share(row['traintools_added'])}, prints {number(peer['last'])}", end="")
        print(f" ({number(peer['low'])} to {number(peer['high'])})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--steps", type=int, default=STEPS, help="after which the interval is read")
    parser.add_argument("--case", choices=CASES, help="only this model")
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    figures = []
    print(f"Aim: {ALLOWED:.0%} of a step, for an interval that spans a factor of 2 after {asked.steps:,} steps")
    for case in [asked.case] if asked.case else CASES:
        for mode in MODES:
            figures.append(measured(case, mode, asked.steps))
            print_row(figures[-1])
    if asked.write:
        write_evidence("noise-overhead", {"steps": asked.steps}, figures)


if __name__ == "__main__":
    main()
