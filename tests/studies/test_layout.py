from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from batchlab.records import TrialSettings
from batchlab.studies.layout import (
    SMALL_MODEL,
    WORTH_S,
    Layout,
    Machine,
    Rehearsal,
    Sample,
    choose_layout,
    fastest_layout,
    possible_layouts,
    samples_of,
)
from batchlab.studies.plan import trial_settings
from simulated import INFO, spec

GIB = 1 << 30
ROOMY = Rehearsal((0.1,), memory=GIB, free=64 * GIB)


def trials(*sizes: int, count: int = 1, device: str = "cpu") -> list[TrialSettings]:
    """Return trials of these batch sizes, so many of each."""
    question = spec(batch_sizes=sizes, device=device)
    return [trial_settings(question, INFO, size, 0.1, seed, "confirm") for size in sizes for seed in range(count)]


@dataclass
class FakeBench:
    """A machine whose workers make so many steps a second together in each layout; it keeps what is tried."""

    rates: dict[Layout, float]
    step_s: float = 1.0
    memory: int = GIB
    tried: list[Layout] = field(default_factory=list)

    def rehearse(self, samples: Sequence[Sample]) -> Rehearsal:
        return Rehearsal((self.step_s,) * len(samples), self.memory, 64 * GIB)

    def steps_per_s(self, layout: Layout, samples: Sequence[Sample]) -> Sequence[float]:
        self.tried.append(layout)
        return [self.rates[layout]] * len(samples)


def chosen(bench: FakeBench, machine: Machine, threads: int | None = None, n_parameters: int = 10**7) -> Layout:
    """Return the layout of a long study."""
    return choose_layout(trials(8, 64, 512, count=10), machine, n_parameters, threads, bench)


def test_small_models_run_one_a_core_unmeasured() -> None:
    bench = FakeBench({})
    assert chosen(bench, Machine(4), n_parameters=SMALL_MODEL - 1) == Layout(4, 1)
    assert bench.tried == []


def test_a_study_that_is_soon_over_is_not_measured() -> None:
    n_steps = sum(one.n_steps for one in trials(8, 64, 512, count=10))
    soon = FakeBench({}, step_s=0.99 * 4 * WORTH_S / n_steps)
    assert chosen(soon, Machine(4)) == Layout(4, 1)
    assert soon.tried == []


def test_one_a_core_stays_where_threads_are_not_clearly_faster() -> None:
    bench = FakeBench({Layout(2, 1): 10.0, Layout(1, 2): 10.5})
    assert chosen(bench, Machine(2)) == Layout(2, 1)
    assert bench.tried == [Layout(2, 1), Layout(1, 2)]


def test_fewer_trials_with_more_threads_where_that_is_clearly_faster() -> None:
    bench = FakeBench({Layout(16, 1): 10.0, Layout(4, 4): 14.0, Layout(1, 16): 12.0})
    assert chosen(bench, Machine(16)) == Layout(4, 4)


def test_a_single_lucky_comparison_changes_nothing() -> None:
    times = iter([2.0, 1.0, 1.0, 2.0])
    assert fastest_layout((Layout(2, 1), Layout(1, 2)), lambda _: next(times)) == Layout(2, 1)


@pytest.mark.parametrize(
    ("memory_gib", "wanted"),
    [(1, ((8, 1), (4, 2), (1, 8))), (10, ((5, 1), (4, 2), (1, 8))), (30, ((1, 1), (1, 2), (1, 8)))],
)
def test_no_more_trials_at_a_time_than_memory_holds(memory_gib: int, wanted: tuple[tuple[int, int], ...]) -> None:
    # Of 64 GiB free 51.2 are used.
    found = possible_layouts(Machine(8), Rehearsal((1.0,), memory_gib * GIB, 64 * GIB), None)
    assert found == tuple(Layout(*one) for one in wanted)


def test_where_few_fit_the_other_cores_become_threads() -> None:
    found = possible_layouts(Machine(8), Rehearsal((1.0,), 25 * GIB, 64 * GIB), None)
    assert Layout(2, 4) in found


def test_the_number_of_workers_that_was_asked_for_is_kept() -> None:
    found = possible_layouts(Machine(8, workers=3), ROOMY, None)
    assert found == (Layout(3, 1), Layout(3, 2), Layout(1, 8))


def test_a_study_keeps_the_threads_it_began_with() -> None:
    bench = FakeBench({})
    assert chosen(bench, Machine(8), threads=4) == Layout(2, 4)
    assert chosen(bench, Machine(2), threads=4) == Layout(1, 4)
    assert chosen(bench, Machine(2), threads=4, n_parameters=10) == Layout(1, 4)
    assert bench.tried == []


def test_several_trials_share_a_gpu_where_that_is_faster_and_fits() -> None:
    rates = {Layout(2): 100.0, Layout(4): 180.0, Layout(8): 185.0}
    assert chosen(FakeBench(rates), Machine(16, gpus=2)) == Layout(4)
    assert chosen(FakeBench(rates, memory=60 * GIB), Machine(16, gpus=2)) == Layout(2)
    assert chosen(FakeBench(rates), Machine(16, gpus=2, workers=3)) == Layout(3)


def test_samples_stand_for_all_steps() -> None:
    asked = trials(8, 16, 32, 64, 128, count=3)
    samples = samples_of(asked)
    assert [sample.settings.batch_size for sample in samples] == [128, 32, 8]
    assert sum(sample.steps for sample in samples) == sum(one.n_steps for one in asked)
    assert samples_of(trials(8))[0].settings.batch_size == 8
