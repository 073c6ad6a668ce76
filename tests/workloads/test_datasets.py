import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, Subset, TensorDataset, random_split

from batchlab.errors import WorkloadError
from batchlab.workload import Splits
from batchlab.workloads.datasets import as_split, cached, examples_in, is_arrays, read_items
from cases import tiny_classifier


class Squares(Dataset[tuple[torch.Tensor, int]]):
    """The squares of 0, 1, 2, ..., each with its number; `noise` makes every read another one."""

    def __init__(self, n: int = 50, noise: float = 0.0) -> None:
        self.n, self.noise, self.reads = n, noise, 0

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.reads += 1
        return torch.tensor([index**2 + self.noise * float(torch.rand(()))]), index


def test_a_tensor_dataset_and_its_subsets_are_tensors() -> None:
    inputs, targets = torch.arange(10.0).reshape(10, 1), torch.arange(10)
    first, second = random_split(TensorDataset(inputs, targets), [7, 3], torch.Generator().manual_seed(0))
    whole = as_split(TensorDataset(inputs, targets), "w", "train")
    parts = [as_split(part, "w", "train") for part in (first, second)]
    assert is_arrays(whole)
    assert whole[0] is inputs
    assert [examples_in(part) for part in parts] == [7, 3]
    assert torch.equal(parts[0][0][:, 0], parts[0][1].float())
    assert sorted(torch.cat([part[1] for part in parts]).tolist()) == list(range(10))


def test_tensors_stay_a_dataset_where_items_are_put_together_by_the_user() -> None:
    data = TensorDataset(torch.zeros(3))
    assert as_split(data, "w", "train", collate=list) is data


def test_a_dictionary_of_arrays_becomes_tensors() -> None:
    split = as_split({"ids": np.zeros((4, 2), dtype=np.int32), "mask": np.ones(4)}, "w", "train")
    assert {key: (value.dtype, len(value)) for key, value in split.items()} == {
        "ids": (torch.int64, 4),
        "mask": (torch.float32, 4),
    }


def test_a_cached_dataset_is_read_once_and_stacked() -> None:
    data = Squares()
    inputs, targets = cached(data, "w", "train", None)
    reads = data.reads
    assert inputs[:4].tolist() == [[0.0], [1.0], [4.0], [9.0]]
    assert targets.dtype == torch.int64
    workload = tiny_classifier(train=Squares(), valid=Squares(), test=None, cache=True)
    first, second = workload.splits(0), workload.splits(1)
    assert first.train[0] is second.train[0]
    assert isinstance(first, Splits)
    # 33 items are read twice to see whether they are random.
    assert reads == 50 + 2 * 33


def test_items_that_do_not_stack_are_kept_as_they_are() -> None:
    ragged = [{"tokens": [1] * length} for length in (1, 2, 3)]
    assert cached(ragged, "w", "train", None) == ragged
    assert cached(ragged, "w", "train", lambda items: items) == ragged


def test_random_items_are_not_cached() -> None:
    with pytest.raises(WorkloadError) as raised:
        cached(Squares(noise=1.0), "w", "valid", None)
    assert str(raised.value) == (
        "Workload 'w': `cache=True` keeps each validation item as it is read once, but item 0 differs between two "
        "reads, as with random transforms; leave `cache` out."
    )


def test_many_items_are_read_in_one_call_where_the_dataset_offers_it() -> None:
    class Table(Squares):
        def __getitems__(self, indices: list[int]) -> list[int]:
            return [100 + index for index in indices]

    assert read_items(Table(), [3, 1]) == [103, 101]
    assert read_items(Subset(Squares(), [7, 8]), [1])[0][1] == 8
