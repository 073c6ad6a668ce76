import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from batchlab.measure.max_batch_size import find_max_batch_size
from batchlab.studies.plan import trial_settings
from batchlab.train.memory import WorkloadSteps, find_workload_max_batch_size
from batchlab.workload import Workload
from batchlab.workloads.loading import load_workload
from simulated import INFO, spec

SETTINGS = trial_settings(spec(), INFO, 4, 0.1, 0, "time")


class Sentences(Dataset):
    """Item i is a sequence of (7 i) mod 32 + 1 numbers."""

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.ones(index * 7 % 32 + 1, 1)

    def __len__(self) -> int:
        return 32


def sentences(shapes: list[tuple[int, ...]]) -> Workload:
    def step(model: nn.Module, batch: torch.Tensor) -> tuple[torch.Tensor, int]:
        shapes.append(tuple(batch.shape[:2]))
        return model(batch).square().sum(), batch.numel()

    return Workload(
        "sentences",
        lambda: nn.Linear(1, 1),
        Sentences(),
        Sentences(),
        step=step,
        collate=lambda items: pad_sequence(items, batch_first=True),
    )


def test_steps_are_made_with_the_longest_examples() -> None:
    shapes: list[tuple[int, ...]] = []
    WorkloadSteps(sentences(shapes), SETTINGS)(3)
    assert shapes == [(3, 32)] * 2


def test_the_search_ends_with_the_data() -> None:
    shapes: list[tuple[int, ...]] = []
    found = find_max_batch_size(WorkloadSteps(sentences(shapes), SETTINGS), 2, n_examples=32)
    assert (found.batch_size, found.limited_by) == (32, "data")
    assert {length for _, length in shapes} == {32}


def test_steps_travel_with_the_workload_or_by_its_reference() -> None:
    workload = load_workload("digits-mlp")
    by_reference = pickle.loads(pickle.dumps(WorkloadSteps(workload, SETTINGS, ("digits-mlp", None))))
    assert (by_reference.workload.name, by_reference.settings) == (workload.name, SETTINGS)
    assert by_reference.source == ("digits-mlp", None)
    assert WorkloadSteps(workload, SETTINGS).__reduce__()[1] == (workload, SETTINGS)


def test_a_workload_with_batch_normalization_is_measured_in_child_processes() -> None:
    data = torch.randn(24, 4), torch.randint(0, 2, (24,))
    workload = Workload("normalized", lambda: nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)), data, data)
    found = find_workload_max_batch_size(WorkloadSteps(workload, SETTINGS), low=1)
    assert (found.batch_size, found.limited_by) == (24, "data")
    assert found.attempts[0].batch_size == 2
    assert all(one.peak is not None for one in found.attempts)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_allocator_is_asked() -> None:
    found = find_workload_max_batch_size(WorkloadSteps(load_workload("digits-mlp"), replace(SETTINGS, device="cuda")))
    assert found.limited_by == "data"
