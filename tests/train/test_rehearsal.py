import time

import torch
from torch import nn

from batchlab.train.rehearsal import free_memory, pace, rehearse
from batchlab.workload import Workload
from train_settings import settings

MIB = 1 << 20


def test_a_rehearsal_finds_the_time_of_steps_and_the_memory_of_a_trial() -> None:
    # Weights of 4 MiB, their gradients and momenta, and batches of 2 MiB that two layers keep.
    inputs, targets = torch.randn(1024, 512), torch.randint(0, 10, (1024,))
    model = lambda: nn.Sequential(nn.Linear(512, 2048), nn.ReLU(), nn.Linear(2048, 10))  # noqa: E731
    workload = Workload("w", model, (inputs, targets), (inputs, targets), optimizer_settings={"momentum": 0.9})
    asked = [settings(batch_size=size, optimizer_settings=(("momentum", 0.9),)) for size in (1024, 8)]
    steppers, seconds, memory = rehearse(workload, asked)
    assert len(steppers) == 2
    assert seconds[0] > seconds[1] > 0
    assert 12 * MIB < memory < 400 * MIB


def test_the_pace_is_that_of_the_clock() -> None:
    before = torch.get_num_threads()
    try:
        rate = pace(lambda count: time.sleep(0.002 * count), threads=1, seconds=0.1)
    finally:
        torch.set_num_threads(before)
    assert 50 < rate <= 500


def test_free_memory_is_no_more_than_the_machine_has() -> None:
    assert MIB < free_memory("cpu") < 1 << 50
