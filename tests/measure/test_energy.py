import pytest

from batchlab.measure.energy import energy_of, measure_energy
from batchlab.measure.energy_counters import EnergyCounter, EnergyCounters

SIZES = (8, 64, 512)


class Machine:
    """Takes 5 W always, and 0.3 + 0.01 B joules a step of 10 ms."""

    def __init__(self) -> None:
        self.now = self.joules = 0.0

    def rest(self, seconds: float) -> None:
        self.now += seconds
        self.joules += 5 * seconds

    def stepper(self, batch_size: int):
        def steps(count: int) -> None:
            self.rest(0.01 * count)
            self.joules += (0.3 + 0.01 * batch_size) * count

        return steps

    def measure(self):
        counters = EnergyCounters((EnergyCounter("machine", lambda: self.joules),), ("NVML: no GPU is in use.",))
        steppers = [self.stepper(size) for size in SIZES]
        return energy_of(SIZES, steppers, counters, clock=lambda: self.now, rest=self.rest)


def test_joules_of_a_step_are_those_of_the_machine_with_nothing_subtracted() -> None:
    energy = Machine().measure()
    assert [row.median_j for row in energy.rows] == pytest.approx([0.35 + 0.01 * size for size in SIZES])
    assert energy.idle_w == pytest.approx(5)
    assert (energy.counters, energy.missing) == (("machine",), ("NVML: no GPU is in use.",))
    assert energy.rows[0].n_blocks == 3


def test_the_least_energy_follows_from_the_fitted_line() -> None:
    model = Machine().measure().model
    assert (model.a, model.b, model.t0) == pytest.approx((0.35, 0.01, 0))


def test_without_a_counter_there_is_no_row_and_a_reason() -> None:
    steps = []
    energy = measure_energy(steps.append, SIZES, counters=EnergyCounters((), ("RAPL: none.", "NVML: none.")))
    assert (energy.rows, energy.idle_w, energy.missing) == ((), None, ("RAPL: none.", "NVML: none."))
    assert steps == []
