"""Which share of the processor's limit does a training step reach, by batch size?

The limit is the best rate of a large matrix product in float32, measured in the same run on the same threads, before
and after the steps. A step is the reference loop's: read a batch, forward, backward, update, timed in the blocks of the
quiet pass. Its operations are counted by torch (`FlopCounterMode`: matrix products and convolutions, forward and
backward, a multiplication and an addition as two).

    python benchmarks/roofline.py [--threads 1,2] [--short] [--write]
"""

import argparse
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from batchlab.records import Schedule, StepTime, TrialSettings
from batchlab.studies.executors import available_cores
from batchlab.train.timing import time_steps
from batchlab.workload import Workload
from batchlab.workloads.models import mlp
from engine_cases import LEARNING_RATE, MODELS, MOMENTUM, TITLES, images
from evidence import write_evidence
from spread import busy_cores

PRODUCT_SIZES = (512, 1024, 2048)
PRODUCT_S = 0.5
BATCH_SIZES = tuple(2**power for power in range(3, 12))
SHORT_BATCH_SIZES = (8, 64, 512)

Model = Callable[[], nn.Module]
WIDE = "MLP 784-2048-2048-10"
NETWORKS: dict[str, Model] = {
    **{TITLES[name]: make for name, make in MODELS.items()},
    WIDE: functools.partial(mlp, 784, 2048, 2048, 10),
}
# A step of the wide network takes long on one core; at 512 it has long reached its limit.
LARGEST = {WIDE: 512}

SETTINGS = TrialSettings(
    workload="roofline",
    fingerprint="",
    batch_size=1,
    learning_rate=LEARNING_RATE,
    n_steps=1,
    optimizer="sgd",
    optimizer_settings=(("momentum", MOMENTUM),),
    schedule=Schedule(),
    last_batch="carry",
    evaluate_at=(),
    base_seed=0,
    seed=0,
    replica=0,
    purpose="time",
    device="cpu",
)


def flops_of_step(make_model: Model, batch_size: int) -> int:
    """Return the floating-point operations of one forward and backward pass."""
    model, inputs = make_model(), torch.randn(batch_size, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        nn.functional.cross_entropy(model(inputs), torch.zeros(batch_size, dtype=torch.int64)).backward()
    return int(counter.get_total_flops())


def product_rate(size: int, threads: int) -> float:
    """Return the FLOP/s of a product of two square matrices: the median over repetitions."""
    torch.set_num_threads(threads)
    left, right = torch.randn(size, size), torch.randn(size, size)
    out = left @ right
    times: list[float] = []
    end = time.perf_counter() + PRODUCT_S
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        torch.mm(left, right, out=out)
        times.append(time.perf_counter() - started)
    return float(2 * size**3 / statistics.median(times))


def best_product(threads: int) -> float:
    """Return the best rate over the sizes."""
    return max(product_rate(size, threads) for size in PRODUCT_SIZES)


def measure(threads: int, pool: Any, sizes: Sequence[int]) -> dict[str, Any]:
    """Return the limit on so many threads, and one row for each network and batch size."""
    before = best_product(threads)
    timed: dict[str, tuple[StepTime, ...]] = {}
    for title, make_model in NETWORKS.items():
        workload = Workload("roofline", make_model, pool, pool)
        fitting = [size for size in sizes if size <= LARGEST.get(title, size)]
        settings = [dataclasses.replace(SETTINGS, batch_size=size) for size in fitting]
        timed[title] = time_steps(workload, settings, threads=threads)
    after = best_product(threads)
    limit = max(before, after)
    rows = [row(title, one, limit) for title, times in timed.items() for one in times]
    return {"threads": threads, "limit_flops_per_s": limit, "limits_measured": [before, after], "steps": rows}


def row(title: str, timed: StepTime, limit: float) -> dict[str, Any]:
    flops = flops_of_step(NETWORKS[title], timed.batch_size)
    return {
        "network": title,
        "batch_size": timed.batch_size,
        "flops": flops,
        "step_s": timed.median_s,
        "step_low_s": timed.low_s,
        "step_high_s": timed.high_s,
        "share": flops / timed.median_s / limit,
    }


def show(found: dict[str, Any]) -> None:
    print(f"\n{found['threads']} thread(s): the best product makes {found['limit_flops_per_s'] / 1e9:.1f} GFLOP/s")
    print(f"{'':<28}{'batch size':>11}{'MFLOP a step':>14}{'ms a step':>11}{'GFLOP/s':>9}{'share':>8}")
    for step in found["steps"]:
        rate = step["flops"] / step["step_s"] / 1e9
        print(f"{step['network']:<28}{step['batch_size']:>11}{step['flops'] / 1e6:>14,.1f}", end="")
        print(f"{1e3 * step['step_s']:>11.3f}{rate:>9.1f}{step['share']:>8.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--short", action="store_true", help="three batch sizes, one thread: half a minute")
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    threads = [1] if asked.short else [int(count) for count in asked.threads.split(",")]
    (pool, _), busy = images(), busy_cores()
    sizes = SHORT_BATCH_SIZES if asked.short else BATCH_SIZES
    figures = []
    for count in (count for count in threads if count <= available_cores()):
        figures.append(measure(count, pool, sizes))
        show(figures[-1])
    if asked.write:
        write_evidence("roofline", {"product_sizes": PRODUCT_SIZES, "busy_cores_before": busy}, figures)


if __name__ == "__main__":
    main()
