import time

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from batchlab.measure.speed import measure_speed


class Machine:
    """A clock that a step and a read move."""

    def __init__(self, read_s: float = 0.0) -> None:
        self.now, self.read_s = 0.0, read_s

    def time(self) -> float:
        return self.now

    def read(self, batch_size: int) -> int:
        self.now += self.read_s
        return batch_size

    def step(self, batch_size: int) -> None:
        self.now += max(0.010, 0.004 + 0.00005 * batch_size)


SIZES = (8, 16, 32, 64, 128, 256, 512)


def test_the_step_times_of_a_known_machine_and_its_knee_are_found() -> None:
    machine = Machine()
    speed = measure_speed(machine.step, SIZES, clock=machine.time)
    assert [row.median_s for row in speed.rows] == pytest.approx([0.01] * 4 + [0.0104, 0.0168, 0.0296])
    assert (speed.model.a, speed.model.b, speed.model.knee) == pytest.approx((0.004, 0.00005, 120), rel=0.01)
    assert speed.rows[-1].examples_per_s == pytest.approx(512 / 0.0296)
    assert speed.rows[0].input_share is None
    assert speed.flags == ()


def test_waiting_for_data_is_told_from_computing() -> None:
    machine = Machine(read_s=0.03)
    first, *_, last = measure_speed(machine.step, SIZES, machine.read, clock=machine.time).rows
    assert (first.median_s, first.compute_s, first.input_share) == pytest.approx((0.04, 0.01, 0.75))
    assert last.input_share == pytest.approx(0.03 / 0.0596)


def test_data_that_are_there_in_no_time_are_no_share_of_a_step() -> None:
    machine = Machine(read_s=0.0)
    assert [row.input_share for row in measure_speed(machine.step, SIZES, machine.read, clock=machine.time).rows] == [
        pytest.approx(0.0, abs=1e-9)
    ] * len(SIZES)


def test_a_real_loop_is_timed_and_left_as_it_was() -> None:
    data = TensorDataset(torch.randn(64, 4), torch.randint(0, 2, (64,)))
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), generator.get_state()
    batches = {size: endless(DataLoader(data, size, shuffle=True, generator=generator)) for size in (4, 16)}

    def step(batch) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    keep = (model, optimizer, generator)
    speed = measure_speed(step, (4, 16), lambda size: next(batches[size]), keep=keep, n_blocks=2, block_s=0.01)
    assert [row.batch_size for row in speed.rows] == [4, 16]
    assert all(0 < row.low_s <= row.median_s <= row.high_s < 1 for row in speed.rows)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert optimizer.state_dict()["state"] == {}
    assert torch.equal(states[0], torch.get_rng_state())
    assert torch.equal(states[1], generator.get_state())


def endless(loader: DataLoader):
    while True:
        yield from loader


def test_sizes_named_twice_are_refused() -> None:
    with pytest.raises(ValueError) as error:
        measure_speed(time.sleep, [8, 8])
    assert str(error.value) == (
        "`batch_sizes` are different whole numbers of at least 1, got [8, 8]; name each size once."
    )
