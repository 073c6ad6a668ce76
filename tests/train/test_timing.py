import time

import torch
from torch import nn
from torch.utils.data import Dataset

from batchlab.measure.block_timing import BLOCKS
from batchlab.records import Budget
from batchlab.studies.plan import trial_settings
from batchlab.train.timing import _fastest, time_steps, workload_speed
from batchlab.workload import Workload
from simulated import INFO, spec


def test_steps_are_timed_at_each_batch_size_and_threads_are_restored() -> None:
    inputs, targets = torch.randn(256, 64), torch.randint(0, 2, (256,))
    workload = Workload("w", lambda: nn.Linear(64, 2), (inputs, targets), (inputs, targets))
    question = spec(batch_sizes=(4, 256), budget=Budget("steps", 5))
    before, state = torch.get_num_threads(), torch.random.get_rng_state()
    small, large = time_steps(
        workload, [trial_settings(question, INFO, size, 0.1, 0, "time") for size in (4, 256)], threads=1, block_s=0.02
    )
    assert (small.batch_size, large.batch_size, small.threads) == (4, 256, 1)
    assert 0 < small.low_s <= small.median_s <= small.high_s
    assert small.n_blocks == BLOCKS
    assert torch.get_num_threads() == before
    assert torch.equal(torch.random.get_rng_state(), state)


class Slow(Dataset):
    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        time.sleep(0.0005)
        return torch.ones(4), index % 2

    def __len__(self) -> int:
        return 32


def test_waiting_for_a_loader_is_told_from_computing() -> None:
    workload = Workload("w", lambda: nn.Linear(4, 2), Slow(), Slow())
    settings = [trial_settings(spec(batch_sizes=(2, 8)), INFO, size, 0.1, 0, "time") for size in (2, 8)]
    small, large = workload_speed(workload, settings, threads=1, at_hand=True, block_s=0.01)[0].rows
    assert small.compute_s < small.median_s
    assert large.input_share > 0.3


def test_a_step_is_timed_with_the_threads_that_serve_it_best() -> None:
    served: list[int] = []

    def stepper(fastest: int):
        def steps(count: int) -> None:
            served.append(torch.get_num_threads())
            time.sleep(0.001 * count * (1 + (torch.get_num_threads() != fastest)))

        return steps

    before = torch.get_num_threads()
    try:
        assert _fastest([stepper(2), stepper(1)], (2, 1), 0.002) == [2, 1]
    finally:
        torch.set_num_threads(before)
    assert set(served) == {1, 2}


def test_where_threads_make_no_difference_all_are_used() -> None:
    def steps(count: int) -> None:
        time.sleep(0.005 * count)

    before = torch.get_num_threads()
    try:
        assert _fastest([steps], (2, 1), 0.005) == [2]
    finally:
        torch.set_num_threads(before)
