"""How many joules an optimizer step of a workload takes, by batch size."""

from collections.abc import Sequence

import torch

from batchlab.measure.energy import Energy, energy_of
from batchlab.measure.energy_counters import energy_counters
from batchlab.records import TrialSettings
from batchlab.train.reading import on_device
from batchlab.train.seeding import derive_seed
from batchlab.train.timing import make_steps
from batchlab.workload import Workload


def workload_energy(workload: Workload, settings: Sequence[TrialSettings], *, threads: int) -> Energy:
    """Return the joules of the steps of `settings`, where this machine counts them.

    Args:
        workload: what is trained.
        settings: one trial's settings a batch size, alike in seed and device.
        threads: torch's threads meanwhile; restored at the end.
    """
    first, before = settings[0], torch.get_num_threads()
    train = on_device(workload.splits(derive_seed(first.base_seed, "data", first.seed)).train, first.device)
    torch.set_num_threads(threads)
    try:
        steppers = [make_steps(workload, train, one) for one in settings]
        return energy_of([one.batch_size for one in settings], steppers, energy_counters())
    finally:
        torch.set_num_threads(before)
