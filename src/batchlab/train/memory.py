"""The largest batch of a workload that goes through the model at once."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from batchlab.measure.coupling import coupling_module
from batchlab.measure.host_memory import find_max_batch_size_on_host
from batchlab.measure.longest import longest_first
from batchlab.measure.max_batch_size import MaxBatchSize, find_max_batch_size
from batchlab.records import TrialSettings
from batchlab.train.order import epoch_length
from batchlab.train.reading import on_device, read_batch
from batchlab.train.seeding import derive_seed
from batchlab.train.step import make_stepper, train_step
from batchlab.workload import Workload
from batchlab.workloads.datasets import examples_in, is_arrays
from batchlab.workloads.loading import load_workload

STEPS = 2


@dataclass(frozen=True, slots=True)
class WorkloadSteps:
    """A `run_step` for `find_max_batch_size`: full steps of a workload, from the start, on its longest examples.

    It travels to another process with the workload, or by its reference and data folder where `source` gives them.
    """

    workload: Workload
    settings: TrialSettings
    source: tuple[str, str | None] | None = None

    def __call__(self, batch_size: int) -> None:
        """Make a model and two steps: the optimizer's state is there from the second on."""
        workload, settings = self.workload, self.settings
        train = on_device(self.train, settings.device)
        model = workload.make_model().to(settings.device).train()
        if batch_size == 1 and coupling_module(model):
            raise MemoryError("One example cannot be normalized over the batch, and two do not fit.")
        stepper = make_stepper(workload, model, settings)
        order = range(examples_in(train)) if is_arrays(train) else longest_first(train)
        chunk = torch.tensor(list(itertools.islice(itertools.cycle(order), batch_size)))
        for _ in range(STEPS):
            train_step(
                stepper, (chunk,), lambda indices: read_batch(workload, train, indices.tolist(), settings.device)
            )

    def __reduce__(self) -> tuple[Callable[..., "WorkloadSteps"], tuple[Any, ...]]:
        """Return how another process comes by this."""
        if self.source is None:
            return WorkloadSteps, (self.workload, self.settings)
        return _loaded, (*self.source, self.settings)

    @property
    def train(self) -> Any:
        """Return the training data of the trial."""
        return self.workload.splits(derive_seed(self.settings.base_seed, "data", self.settings.seed)).train


def find_workload_max_batch_size(
    steps: WorkloadSteps,
    *,
    low: int | None = None,
    high: int | None = None,
    limit: int | None = None,
    threads: int | None = None,
) -> MaxBatchSize:
    """Return the largest batch size of which one step of the workload fits; peaks are bytes.

    On a GPU by the statistics of its allocator, in this process. On the CPU by `find_max_batch_size_on_host`, in child
    processes that load the workload themselves.

    Args:
        steps: of the workload, with the settings of a trial: device, optimizer, seed.
        low: the size to begin with, by default the workload's default batch size.
        high: the largest size to try.
        limit: bytes of the host that a process may hold, by default most of what is available.
        threads: torch's threads in the child processes.
    """
    workload, device = steps.workload, steps.settings.device
    n_examples = epoch_length(workload, steps.train)
    low = min(max(2, low or workload.default_batch_size), n_examples)
    if device == "cpu":
        return find_max_batch_size_on_host(steps, low, high, limit, n_examples=n_examples, threads=threads)
    # A GPU is watched once it is in use.
    torch.zeros(1, device=device)
    return find_max_batch_size(steps, low, high, n_examples=n_examples)


def _loaded(reference: str, data_dir: str | None, settings: TrialSettings) -> WorkloadSteps:
    return WorkloadSteps(load_workload(reference, data_dir=data_dir), settings, (reference, data_dir))
