from collections.abc import Iterator

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from batchlab.train.order import batches, epochs
from batchlab.workload import Workload


def made_batches(n_train: int, size: int, n_steps: int, last_batch: str, seed: int) -> Iterator[torch.Tensor]:
    data = torch.arange(n_train), torch.zeros(n_train)
    workload = Workload("counting", nn.Identity(), data, data)
    return batches(epochs(workload, workload.train, seed), size, n_steps, last_batch)


@given(st.integers(1, 20), st.integers(20, 50), st.integers(1, 12))
def test_carried_batches_are_full_and_use_every_example_equally_often(size: int, n_train: int, n_steps: int) -> None:
    made = list(made_batches(n_train, size, n_steps, "carry", seed=1))
    assert [len(batch) for batch in made] == [size] * n_steps
    counts = torch.bincount(torch.cat(made), minlength=n_train)
    assert counts.max() - counts.min() <= 1


def test_carried_batches_take_the_examples_in_one_order_at_every_batch_size() -> None:
    streams = [torch.cat(list(made_batches(30, size, 60 // size, "carry", seed=5))) for size in (1, 4, 6, 30)]
    assert all(torch.equal(stream, streams[0]) for stream in streams)


def test_dropped_examples_are_left_out_of_their_epoch_only() -> None:
    made = list(made_batches(10, 4, 4, "drop", seed=0))
    assert [len(batch) for batch in made] == [4, 4, 4, 4]
    assert len(set(torch.cat(made[:2]).tolist())) == 8


def test_kept_short_batches_complete_each_epoch() -> None:
    made = list(made_batches(10, 4, 6, "keep", seed=0))
    assert [len(batch) for batch in made] == [4, 4, 2, 4, 4, 2]
    assert sorted(torch.cat(made[:3]).tolist()) == list(range(10))


def test_each_epoch_is_another_permutation() -> None:
    first, second = made_batches(50, 50, 2, "carry", seed=3)
    assert sorted(first.tolist()) == sorted(second.tolist())
    assert not torch.equal(first, second)
