import dataclasses

import torch
from torch import nn

from batchlab.measure.energy import Energy, StepEnergy, energy_of
from batchlab.measure.energy_counters import EnergyCounter, EnergyCounters
from batchlab.studies.plan import trial_settings
from batchlab.train import energy as module
from batchlab.train.energy import quiet_pass, workload_energy
from batchlab.workload import Workload
from simulated import INFO, spec

SETTINGS = [trial_settings(spec(batch_sizes=(4,)), INFO, 4, 0.1, 0, "time")]


def workload() -> Workload:
    data = torch.randn(64, 8), torch.randint(0, 2, (64,))
    return Workload("w", lambda: nn.Linear(8, 2), data, data)


def test_without_a_counter_it_is_said_which_were_looked_for(monkeypatch) -> None:
    monkeypatch.setattr(module, "energy_counters", lambda: EnergyCounters((), ("RAPL: none.",)))
    energy = workload_energy(workload(), SETTINGS, threads=[1])
    assert (energy.rows, energy.missing) == ((), ("RAPL: none.",))


def test_joules_are_shared_out_among_the_steps_of_a_block(monkeypatch) -> None:
    counted = iter(range(0, 10**6, 1000))
    counter = EnergyCounter("a thousand joules a reading", lambda: next(counted))
    monkeypatch.setattr(module, "energy_counters", lambda: EnergyCounters((counter,), ()))
    monkeypatch.setattr(module, "energy_of", lambda *rest: energy_of(*rest, rest=lambda seconds: None, block_s=0.01))
    before = torch.get_num_threads()
    (row,) = workload_energy(workload(), SETTINGS, threads=[1]).rows
    assert (row.batch_size, torch.get_num_threads()) == (4, before)
    assert 0 < row.low_j <= row.median_j <= row.high_j <= 1000


def test_the_quiet_pass_counts_joules_where_that_is_the_purpose(monkeypatch) -> None:
    monkeypatch.setattr(module, "energy_counters", lambda: EnergyCounters((EnergyCounter("c", lambda: 0.0),), ()))
    rows = (StepEnergy(4, 0.5, 0.4, 0.6, 3),)
    monkeypatch.setattr(module, "workload_energy", lambda *rest, **more: Energy(rows, ("c",), (), None))
    (timed,) = quiet_pass(workload(), SETTINGS, threads=1)
    (counted,) = quiet_pass(workload(), [dataclasses.replace(SETTINGS[0], purpose="energy")], threads=1)
    assert (timed.joules, counted.joules) == (None, 0.5)


def test_the_quiet_pass_has_no_joules_where_nothing_counts_them(monkeypatch) -> None:
    monkeypatch.setattr(module, "energy_counters", lambda: EnergyCounters((), ("RAPL: none.",)))
    (counted,) = quiet_pass(workload(), [dataclasses.replace(SETTINGS[0], purpose="energy")], threads=1)
    assert counted.joules is None
