"""Which of the batch sizes that a probe considers fit into memory."""

from dataclasses import dataclass

from batchlab.analyze.probe_findings import ProbeMemory
from batchlab.errors import CannotTravel, ExecutorError
from batchlab.measure.host_memory import find_max_batch_size_on_host
from batchlab.measure.max_batch_size import MaxBatchSize, find_max_batch_size
from batchlab.studies.pilot import pilot_settings
from batchlab.studies.probe_options import ProbeOptions
from batchlab.train.reading import on_device
from batchlab.train.seeding import derive_seed
from batchlab.train.timing import make_steps
from batchlab.workload import Workload
from batchlab.workloads.loading import load_workload

STEPS = 2


@dataclass
class TrialSteps:
    """Makes two steps at a batch size, with a model and an optimizer of their own; travels to another process."""

    source: Workload | str
    data_dir: str | None
    device: str

    def __setstate__(self, state: tuple[Workload | str, str | None, str]) -> None:
        """Load a workload that is named, once, where this arrives."""
        self.source, self.data_dir, self.device = state
        self.source = self.workload()

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        """Travel as the fields."""
        return _empty, (), (self.source, self.data_dir, self.device)

    def workload(self) -> Workload:
        """Return the workload, loaded if it was named."""
        return load_workload(self.source, data_dir=self.data_dir) if isinstance(self.source, str) else self.source

    def __call__(self, batch_size: int) -> None:
        """Make the steps."""
        workload = self.workload()
        rate = float((workload.optimizer_settings or {})["lr"])
        settings = pilot_settings(
            workload, batch_size=batch_size, n_steps=STEPS, learning_rate=rate, seed=0, device=self.device
        )
        train = on_device(workload.splits(derive_seed(0, "data", 0)).train, self.device)
        make_steps(workload, train, settings)(STEPS)


def probe_memory(
    workload: Workload, reference: str, options: ProbeOptions, largest: int, n_train: int
) -> tuple[ProbeMemory, dict[int, int]]:
    """Return the largest batch size that fits, up to `largest`, and the peaks of the sizes that were run, in bytes.

    On a CPU in child processes that may run out of memory; where the workload cannot travel to one, nothing is tried.
    """
    named = reference if not reference.startswith("object:") else None
    steps = TrialSteps(named or workload, options.data_dir, options.device)
    try:
        found = _found(steps, options.device, largest)
    except (CannotTravel, ExecutorError):
        return ProbeMemory(None, "not tried"), {}
    if found.batch_size == 0:
        raise MemoryError("not even one example fits")
    limited = "data" if found.limited_by == "limit" and 4 * largest > n_train else found.limited_by
    peaks = {one.batch_size: round(one.peak) for one in found.attempts if one.fits and one.peak is not None}
    return ProbeMemory(found.batch_size, limited), peaks


def _found(steps: TrialSteps, device: str, largest: int) -> MaxBatchSize:
    if device == "cpu":
        return find_max_batch_size_on_host(steps, low=largest, high=largest)
    return find_max_batch_size(steps, low=largest, high=largest)


def _empty() -> TrialSteps:
    return TrialSteps.__new__(TrialSteps)
