import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from batchlab.measure.block_timing import BLOCKS, time_blocks


@dataclass
class FakeMachine:
    """A clock that steps move, by seconds that may depend on how many were made before."""

    seconds: Callable[[int, int], float]
    now: float = 0.0
    made: dict[int, int] = field(default_factory=dict)
    calls: list[tuple[int, int]] = field(default_factory=list)

    def stepper(self, index: int) -> Callable[[int], None]:
        def step(count: int) -> None:
            self.calls.append((index, count))
            for _ in range(count):
                self.made[index] = self.made.get(index, 0) + 1
                self.now += self.seconds(index, self.made[index])

        return step

    def time(self, n_steppers: int = 2):
        return time_blocks([self.stepper(index) for index in range(n_steppers)], clock=lambda: self.now)

    def blocks(self) -> list[tuple[int, int]]:
        """Return whose the blocks were, and their steps: a tenth of them first, then the others in one call."""
        return [
            (index, first + rest)
            for (index, first), (same, rest) in itertools.pairwise(self.calls)
            if index == same and rest >= 9 * first
        ]


def test_a_step_takes_what_the_clock_says() -> None:
    times = FakeMachine(lambda index, made: 0.002 * (1 + index)).time()
    assert [pytest.approx(one) for one in times.seconds] == [(0.002,) * BLOCKS, (0.004,) * BLOCKS]
    assert (times.drift, times.steady) == (pytest.approx(0.0), True)


def test_slow_first_steps_are_not_in_the_figures() -> None:
    machine = FakeMachine(lambda index, made: 0.002 + 0.1 * 0.7**made)
    times = machine.time(1)
    assert max(times.seconds[0]) == pytest.approx(0.002, rel=0.02)


def test_blocks_take_a_fifth_of_a_second_and_come_in_rounds_of_changing_order() -> None:
    machine = FakeMachine(lambda index, made: 0.002 * (1 + index))
    machine.time(4)
    blocks = [index for index, _ in machine.blocks()]
    rounds = [tuple(blocks[start : start + 4]) for start in range(0, len(blocks), 4)]
    assert {tuple(sorted(one)) for one in rounds} == {(0, 1, 2, 3)}
    assert len(rounds) == BLOCKS
    assert len(set(rounds)) > 1
    assert {count * 0.002 * (1 + index) >= 0.2 for index, count in machine.blocks()} == {True}


def test_a_warm_up_ends_after_a_second_of_slow_steps() -> None:
    machine = FakeMachine(lambda index, made: 0.4)
    machine.time(1)
    assert len(machine.calls) == 3 + BLOCKS


def test_a_machine_that_grows_slower_is_timed_again_and_told() -> None:
    machine = FakeMachine(lambda index, made: 0.01 * (1 + made / 500))
    times = machine.time(1)
    assert len(machine.blocks()) == 3 * BLOCKS
    assert (times.drift > 0.03, times.steady) == (True, False)


def test_a_machine_that_steadies_is_timed_again_and_not_blamed() -> None:
    machine = FakeMachine(lambda index, made: 0.01 * (1 + max(0, 100 - made) / 500))
    times = machine.time(1)
    assert len(machine.blocks()) == 2 * BLOCKS
    assert times.steady
    assert times.seconds[0] == pytest.approx((0.01,) * BLOCKS)


def test_noise_is_not_taken_for_drift() -> None:
    # 100 machines of 8 sizes and 5 % noise, no drift; fixed beforehand: at most 5 timed twice.
    generator = random.Random(0)
    twice = 0
    for _ in range(100):
        machine = FakeMachine(lambda index, made: 0.3 * generator.lognormvariate(0, 0.05))
        machine.time(8)
        twice += len(machine.calls) > 8 * (BLOCKS + 10)
    assert twice <= 5


def test_a_busy_machine_is_timed_again_and_the_calmest_times_count() -> None:
    # Somebody else works at every other block, less and less, and never stops entirely.
    slower = {0: 2.0, 1: 1.0, 2: 0.5}
    machine = FakeMachine(lambda index, made: 0.3 * (1 + (made % 2) * slower.get((made - 4) // BLOCKS, 0.0)))
    times = machine.time(1)
    assert len(machine.calls) == 3 + 3 * BLOCKS
    assert (times.calm, times.spread) == (False, pytest.approx(1.5))


def test_a_machine_that_gets_quiet_is_timed_again_once() -> None:
    machine = FakeMachine(lambda index, made: 0.3 * (1 + (made % 2 if made < 3 + BLOCKS else 0)))
    times = machine.time(1)
    assert len(machine.calls) == 3 + 2 * BLOCKS
    assert times.calm
    assert times.seconds[0] == pytest.approx((0.3,) * BLOCKS)


def test_a_block_that_would_take_long_ends_after_a_tenth() -> None:
    machine = FakeMachine(lambda index, made: 0.001 if made <= 20 else 0.05)
    assert machine.time(n_steppers=1).seconds == ((pytest.approx(0.05),) * BLOCKS,)
    assert [count for _, count in machine.calls if count > 1] == [20] * BLOCKS
