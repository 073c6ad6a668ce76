"""How many joules an optimizer step of a workload takes, by batch size; and the quiet pass, which may count them."""

import dataclasses
from collections.abc import Sequence

import torch

from batchlab.measure.energy import Energy, energy_of
from batchlab.measure.energy_counters import energy_counters
from batchlab.records import StepTime, TrialSettings
from batchlab.train.reading import on_device
from batchlab.train.seeding import derive_seed
from batchlab.train.timing import make_steps, served_by, time_steps
from batchlab.workload import Workload

# The purpose of settings whose joules are counted too.
ENERGY = "energy"


def quiet_pass(
    workload: Workload, settings: Sequence[TrialSettings], *, threads: int | Sequence[int]
) -> tuple[StepTime, ...]:
    """Return the step times of `settings` (`time_steps`), with joules where that is their purpose and they are counted.

    Counting takes some seconds a batch size.
    """
    times = time_steps(workload, settings, threads=threads)
    if settings[0].purpose != ENERGY or not energy_counters().found:
        return times
    energy = workload_energy(workload, settings, threads=[one.threads for one in times])
    joules = {row.batch_size: row.median_j for row in energy.rows}
    return tuple(dataclasses.replace(one, joules=joules.get(one.batch_size)) for one in times)


def workload_energy(workload: Workload, settings: Sequence[TrialSettings], *, threads: Sequence[int]) -> Energy:
    """Return the joules of the steps of `settings`, where this machine counts them.

    Args:
        workload: what is trained.
        settings: one trial's settings a batch size, alike in seed and device.
        threads: torch's threads meanwhile, one entry a batch size; restored at the end.
    """
    first, before = settings[0], torch.get_num_threads()
    train = on_device(workload.splits(derive_seed(first.base_seed, "data", first.seed)).train, first.device)
    try:
        steppers = [
            served_by(count, make_steps(workload, train, one)) for count, one in zip(threads, settings, strict=True)
        ]
        return energy_of([one.batch_size for one in settings], steppers, energy_counters())
    finally:
        torch.set_num_threads(before)
