"""Two processes on a CPU against one that accumulates what both see."""

import json

import pytest
import torch
from torch import multiprocessing

import measure_cases
from batchlab.adapt.monitor import NoiseScaleMonitor
from data_parallel_cases import SIZES, STEPS, backward, worker


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    multiprocessing.spawn(worker, (str(folder),), nprocs=2)
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return json.loads((folder / "found.json").read_text())


def test_two_workers_that_accumulate_are_one_process_that_does(found):
    torch.manual_seed(0)
    model = measure_cases.mlp()
    monitor = NoiseScaleMonitor(model, every=1, by_layer=True)
    for step in range(STEPS):
        model.zero_grad()
        for index in range(4):
            backward(model, monitor, step, index)
        monitor.step()
    expected = monitor.state_dict()
    for key in ("trace_sum", "signal_sum", "n_examples", "n_updates"):
        assert found["average"][key] == pytest.approx(expected["average"][key], rel=1e-4)
    for layer, other in zip(
        found["window"]["filling"]["moments"], expected["window"]["filling"]["moments"], strict=True
    ):
        assert layer == pytest.approx(other, rel=1e-4)


def test_the_step_counts_the_examples_of_all_workers(found):
    assert found["average"]["n_examples"] == STEPS * sum(SIZES)


def test_workers_measure_the_same_steps_as_often_as_the_slowest_can(folder):
    assert [(folder / f"every-{rank}").read_text() for rank in range(2)] == ["20", "20"]
