"""Loss and metric of a model over a whole split."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from batchlab.measure.out_of_memory import is_out_of_memory
from batchlab.train.forward import loss_on, under_autocast
from batchlab.train.reading import evaluation_batches, evaluation_size
from batchlab.workload import Workload
from batchlab.workloads.datasets import examples_in

Batches = Callable[[], Iterator[tuple[Any, int]]]


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode; each of its modules gets its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class Evaluation:
    """A split that is opened once and evaluated many times, in smaller batches where memory does not suffice."""

    def __init__(self, workload: Workload, split: Any, device: str = "cpu") -> None:
        """Open the split; nothing is read yet."""
        self._workload, self._split, self._device = workload, split, device
        self._size = min(evaluation_size(workload, split), examples_in(split))
        self._batches = self._open()

    def __call__(self, model: nn.Module) -> tuple[float, float]:
        """Return mean loss and mean metric; see `evaluate`."""
        while True:
            try:
                return evaluate(model, self._workload, self._batches, self._device)
            except (MemoryError, RuntimeError) as error:
                if self._size == 1 or not is_out_of_memory(error):
                    raise
            self._size //= 2
            self._batches = self._open()

    def _open(self) -> Batches:
        return evaluation_batches(self._workload, self._split, self._size, self._device)


@torch.no_grad()
def evaluate(model: nn.Module, workload: Workload, batches: Batches, device: str = "cpu") -> tuple[float, float]:
    """Return the mean loss and mean metric over a split, in evaluation mode; the model's mode is left as found.

    Batches are weighted by their number of examples, so that a short last one counts as what it is; beside a `step`,
    by what its loss and its metric count.
    """
    loss_sum = loss_count = metric_sum = metric_count = 0.0
    measured = _measured_by_step(model, workload) if workload.step else _measured(model, workload, device)
    measure = under_autocast(workload, device, measured)
    with evaluation_mode(model):
        for batch, n_examples in batches():
            loss, n_loss, metric, n_metric = measure(batch, n_examples)
            loss_sum, loss_count = loss_sum + float(loss), loss_count + float(n_loss)
            metric_sum, metric_count = metric_sum + float(metric), metric_count + float(n_metric)
    return loss_sum / loss_count, metric_sum / metric_count


def _measured(model: nn.Module, workload: Workload, device: str) -> Callable[[Any, int], tuple[Any, Any, Any, Any]]:
    loss_function, metric_function = loss_on(workload, device), workload.metric.function
    same = metric_function is workload.loss

    def measure(batch: Any, n_examples: int) -> tuple[Any, Any, Any, Any]:
        inputs, targets = batch
        outputs = model(inputs)
        loss = float(loss_function(outputs, targets))
        metric = loss if same else float(metric_function(outputs, targets))
        return loss * n_examples, n_examples, metric * n_examples, n_examples

    return measure


def _measured_by_step(model: nn.Module, workload: Workload) -> Callable[[Any, int], tuple[Any, Any, Any, Any]]:
    step, metric_function = workload.step, workload.metric.function
    assert step is not None

    def measure(batch: Any, n_examples: int) -> tuple[Any, Any, Any, Any]:
        loss = step(model, batch)
        return *loss, *(loss if metric_function is step else metric_function(model, batch))

    return measure
