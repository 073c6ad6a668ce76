import pytest

import cases
from batchlab.errors import UsageError
from batchlab.measure.energy import Energy, StepEnergy
from batchlab.measure.energy_counters import EnergyCounter, EnergyCounters
from batchlab.records import StepTime
from batchlab.studies import probe_costs
from batchlab.studies.probe_costs import SizeCost, check_energy, size_costs, step_settings, time_model


def settings(workload, sizes, most=None):
    return [step_settings(workload, size, 0.1, most, seed=0, device="cpu") for size in sizes]


def test_a_batch_that_does_not_fit_is_made_of_parts_and_timed_so():
    workload = cases.tiny_classifier()
    costs, _ = size_costs(workload, settings(workload, [8, 16, 32], most=8), with_energy=False)
    assert {size: (cost.micro_batch_size, cost.parts) for size, cost in costs.items()} == {
        8: (8, 1),
        16: (8, 2),
        32: (8, 4),
    }
    assert costs[32].time.median_s > 1.5 * costs[8].time.median_s
    assert time_model(costs) is None


def test_data_in_memory_are_not_waited_for():
    workload = cases.tiny_classifier()
    costs, _ = size_costs(workload, settings(workload, [8, 16]), with_energy=False)
    assert all(cost.input_share is None and cost.joules is None for cost in costs.values())


def two_joules_an_example(workload, settings, threads):
    rows = tuple(StepEnergy(one.batch_size, 2.0 * one.batch_size, 0.0, 0.0, 3) for one in settings)
    return Energy(rows, ("package",), (), None)


def test_joules_are_counted_where_asked(monkeypatch):
    joules = iter(range(1000))
    counters = EnergyCounters((EnergyCounter("package", lambda: float(next(joules))),), ())
    monkeypatch.setattr(probe_costs, "energy_counters", lambda: counters)
    monkeypatch.setattr(probe_costs, "workload_energy", two_joules_an_example)
    check_energy("cpu")
    workload = cases.tiny_classifier()
    costs, _ = size_costs(workload, settings(workload, [8, 16]), with_energy=True)
    assert costs[16].of("energy").value == 32.0


def test_an_objective_that_nothing_counts_is_refused(monkeypatch):
    monkeypatch.setattr(probe_costs, "energy_counters", lambda: EnergyCounters((), ("RAPL: none here.",)))
    with pytest.raises(UsageError) as raised:
        check_energy("cpu")
    assert str(raised.value) == (
        "The objective energy needs a counter of joules, and none can be read here (RAPL: none here.); choose time "
        "or examples."
    )


def test_the_cost_of_a_step_is_that_of_the_objective():
    cost = SizeCost(StepTime(64, 0.01, 0.009, 0.011, 9, 1, "cpu"), 64)
    assert cost.of("examples").value == 64
    assert cost.of("time").value == 0.01
    assert cost.of("time").log_sd == pytest.approx(0.2 / 1.35 / 3)
