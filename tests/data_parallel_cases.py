"""What each of two processes does to test the monitor under DistributedDataParallel; importable by both."""

import datetime
import json
from pathlib import Path
from unittest import mock

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

import measure_cases
from batchlab.adapt.monitor import NoiseScaleMonitor

# Of each of four micro-batches, two a worker; the workers' sums differ, as their weights do.
SIZES, WEIGHTS, STEPS = (3, 5, 4, 4), (0.4, 0.6, 0.5, 0.5), 3


def micro_batch(step, index):
    return measure_cases.vectors(100 * step + index, SIZES[index])


def worker(rank, folder):
    torch.set_num_threads(1)
    store = distributed.FileStore(str(Path(folder) / "store"), 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60))
    torch.manual_seed(0)
    model = DistributedDataParallel(measure_cases.mlp())
    monitor = NoiseScaleMonitor(model, every=1, by_layer=True)
    for step in range(STEPS):
        model.zero_grad()
        with model.no_sync():
            backward(model, monitor, step, 2 * rank)
        backward(model, monitor, step, 2 * rank + 1)
        monitor.step()
    (Path(folder) / f"every-{rank}").write_text(str(paced(NoiseScaleMonitor(model), rank)))
    if rank == 0:
        (Path(folder) / "found.json").write_text(json.dumps(monitor.state_dict()))
    distributed.destroy_process_group()


def backward(model, monitor, step, index):
    weight = WEIGHTS[index]
    (weight * measure_cases.CLASSIFICATION(model, micro_batch(step, index))).backward()
    monitor.micro_batch(SIZES[index], loss_weight=weight)


def paced(monitor, rank):
    """Return how often a monitor measures once it knows, by a clock for which measuring costs one worker more."""
    now = 0.0
    with mock.patch("time.perf_counter", lambda: now):
        for step in range(40):
            now += 1.0 + (0.3 + 0.3 * rank) * monitor.due
            backward(monitor._model, monitor, step, 2 * rank)
            monitor.step()
    return monitor.every
