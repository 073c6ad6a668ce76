"""What a step costs by batch size: seconds, with accumulation where memory ends, and joules where they are counted."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from batchlab.analyze.setting_choice import StepCost
from batchlab.errors import UsageError
from batchlab.measure.energy_counters import energy_counters
from batchlab.numerics.step_time import StepTimeModel, fit_step_time
from batchlab.records import StepTime, TrialSettings
from batchlab.studies.pilot import pilot_settings
from batchlab.train.energy import workload_energy
from batchlab.train.threads import thread_counts
from batchlab.train.timing import workload_speed
from batchlab.workload import Workload

BLOCK_S = 0.05


@dataclass(frozen=True, slots=True)
class SizeCost:
    """A step at one batch size; `joules` is None where nothing counts them, `input_share` where nothing is waited for.

    `input_share` is the share of a step that goes by waiting for data.
    """

    time: StepTime
    micro_batch_size: int
    input_share: float | None = None
    joules: float | None = None

    @property
    def parts(self) -> int:
        """Return how many forward passes a step has."""
        return math.ceil(self.time.batch_size / self.micro_batch_size)

    def of(self, objective: str) -> StepCost:
        """Return what a step costs by an objective: time, energy or examples."""
        if objective == "examples":
            return StepCost(float(self.time.batch_size))
        if objective == "energy":
            assert self.joules is not None
            return StepCost(self.joules)
        time = self.time
        # Quartiles over blocks, as a standard error of their median.
        return StepCost(time.median_s, (time.high_s - time.low_s) / 1.35 / time.median_s / math.sqrt(time.n_blocks))


def micro_batch_size(batch_size: int, most: int | None) -> int:
    """Return the size of the parts of a batch, the fewest that are no larger than `most`; None is no limit.

    They are equal, unless that would take twice as many or more: then the last one is smaller.

    >>> micro_batch_size(512, None), micro_batch_size(512, 200), micro_batch_size(7, 3)
    (512, 128, 3)
    """
    if most is None or batch_size <= most:
        return batch_size
    fewest = -(-batch_size // most)
    equal = (parts for parts in range(fewest, 2 * fewest) if batch_size % parts == 0)
    return -(-batch_size // next(equal, fewest))


def step_settings(
    workload: Workload, batch_size: int, learning_rate: float, most: int | None, *, seed: int, device: str
) -> TrialSettings:
    """Return the settings of steps with the workload's optimizer, in parts where no more than `most` examples fit."""
    settings = pilot_settings(
        workload, batch_size=batch_size, n_steps=1, learning_rate=learning_rate, seed=seed, device=device
    )
    size = micro_batch_size(batch_size, most)
    return settings if size == batch_size else dataclasses.replace(settings, micro_batch_size=size)


def check_energy(device: str) -> None:
    """Raise a `UsageError` where joules are wanted and nothing counts them; a GPU is looked at once it is in use."""
    if device.startswith("cuda"):
        torch.zeros(1, device=device)
    counters = energy_counters()
    if not counters.found:
        raise UsageError(
            "The objective energy needs a counter of joules, and none can be read here "
            f"({' '.join(counters.missing)}); choose time or examples."
        )


def size_costs(
    workload: Workload, settings: Sequence[TrialSettings], *, with_energy: bool
) -> tuple[dict[int, SizeCost], tuple[str, ...]]:
    """Return what a step costs, by batch size, and the flags of the timing.

    Args:
        workload: what is trained.
        settings: one trial's settings a batch size, alike in seed and device.
        with_energy: joules are counted as well, which takes some seconds a size.
    """
    counts = thread_counts(torch.get_num_threads())
    speed, times = workload_speed(workload, settings, threads=counts, at_hand=True, block_s=BLOCK_S)
    threads = [one.threads for one in times]
    energy = workload_energy(workload, settings, threads=threads) if with_energy else None
    joules = {} if energy is None else {row.batch_size: row.median_j for row in energy.rows}
    found = {
        one.batch_size: SizeCost(
            time=time,
            micro_batch_size=one.micro_batch_size or one.batch_size,
            input_share=row.input_share,
            joules=joules.get(one.batch_size),
        )
        for one, time, row in zip(settings, times, speed.rows, strict=True)
    }
    return found, speed.flags


def time_model(costs: dict[int, SizeCost]) -> StepTimeModel | None:
    """Return the fitted time of a step without accumulation; None with fewer than two sizes."""
    whole = [one.time for one in costs.values() if one.parts == 1]
    if len(whole) < 2:
        return None
    return fit_step_time([one.batch_size for one in whole], [one.median_s for one in whole])
