"""A few steps before a study: how long they take and how much memory a trial holds, to lay trials out over workers."""

import itertools
import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from batchlab.measure.block_timing import Steps
from batchlab.measure.random_states import kept_randomness
from batchlab.records import TrialSettings
from batchlab.train.evaluation import evaluate
from batchlab.train.reading import evaluation_batches, evaluation_size, on_device
from batchlab.train.seeding import derive_seed
from batchlab.train.timing import make_steps
from batchlab.workload import Workload
from batchlab.workloads.datasets import examples_in

STEPS = 3
# What the driver of a GPU and its libraries hold for each process, beside torch's tensors.
GPU_CONTEXT = 600 << 20
CGROUP = Path("/sys/fs/cgroup")


def rehearse(workload: Workload, settings: Sequence[TrialSettings]) -> tuple[list[Steps], list[float], int]:
    """Return functions that make steps of each of `settings`, the seconds of one, and the bytes that a trial takes.

    The memory is the most that the first of `settings` takes, which should be the one of the largest batch: steps, and
    an evaluation on one batch of the validation data.
    """
    device = settings[0].device
    splits = workload.splits(derive_seed(settings[0].base_seed, "data", settings[0].seed))
    before = _held(device)
    train, steppers, seconds, memory = on_device(splits.train, device), list[Steps](), list[float](), 0
    for one in settings:
        steppers.append(make_steps(workload, train, one))
        seconds.append(min(_seconds(steppers[-1], 1) for _ in range(STEPS)))
        if not memory:
            _evaluate_once(workload, splits.valid, device)
            memory = max(1, _most_held(device) - before)
    return steppers, seconds, memory


def pace(step: Steps, threads: int, seconds: float) -> float:
    """Return the steps a second that so many threads make in about so many seconds."""
    torch.set_num_threads(threads)
    step(1)
    count, spent = 1, _seconds(step, 1)
    while spent < seconds:
        # Twice as many as so far, or as many as there is still time for.
        made = max(1, round(count * min(1.0, seconds / spent - 1)))
        spent += _seconds(step, made)
        count += made
    return count / spent


def free_memory(device: str) -> int:
    """Return the bytes that are free for trials: of the GPU, or of the machine within what its group may use."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info()[0]) + torch.cuda.memory_reserved()
    return min(_system_memory(), _group_memory())


def _evaluate_once(workload: Workload, split: Any, device: str) -> None:
    size = min(evaluation_size(workload, split), examples_in(split))
    batches = evaluation_batches(workload, split, size, device)
    with kept_randomness():
        model = workload.make_model().to(device)
    evaluate(model, workload, lambda: itertools.islice(batches(), 1), device)


def _seconds(step: Steps, count: int) -> float:
    started = time.perf_counter()
    step(count)
    return time.perf_counter() - started


def _held(device: str) -> int:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        return -GPU_CONTEXT
    status = _numbers("/proc/self/status")
    return status["VmRSS"] - status["RssFile"] if status else _peak_of_process()


def _most_held(device: str) -> int:
    """Return the peak of memory since the process began, without what is read from files and shared."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_reserved()
    status = _numbers("/proc/self/status")
    return status["VmHWM"] - status["RssFile"] if status else _peak_of_process()


def _peak_of_process() -> int:
    # In bytes on macOS, the only other system that gets here.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _system_memory() -> int:
    status = _numbers("/proc/meminfo")
    return status["MemAvailable"] if status else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _group_memory() -> int:
    """Return what the control group of this process may still take; without a limit, more than any machine has."""
    try:
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return int(limit) - int(used)
    except (OSError, ValueError):
        return 1 << 62


def _numbers(path: str) -> dict[str, int]:
    """Return the sizes that a file of /proc lists in kB, in bytes; nothing where there is no such file."""
    try:
        lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.endswith(" kB")}
