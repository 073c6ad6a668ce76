"""What a trained model has to beat: the best constant outputs, or the model it started from."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from batchlab.train.evaluation import Evaluation, evaluation_mode
from batchlab.train.forward import loss_on
from batchlab.train.reading import read_batch
from batchlab.workload import Workload
from batchlab.workloads.datasets import examples_in, is_arrays

MOST_TARGETS, MOST_TARGETS_READ = 10_000, 1_000
MOST_OUTPUTS = 10_000_000
LARGEST_CONSTANT = 1e6


def baseline_metric(
    workload: Workload, train: Any, model: nn.Module, validation: Evaluation, device: str = "cpu"
) -> float:
    """Return the validation metric of the constant outputs with the least training loss, the same for every example.

    With cross entropy the constants are the log class frequencies, with squared error the mean: the best that can be
    done without looking at the inputs. Found by L-BFGS from zeros, over at most 10,000 training targets (1,000 of a
    dataset). Where the workload says so, or the loss has no minimum over constants, it is the metric of `model` as it
    is instead.

    Args:
        workload: its loss, metric and `baseline` count.
        train: the training data of the trial.
        model: untrained; shows the shape of one example's outputs. Left as found, in mode and weights.
        validation: the validation data, opened.
        device: where the model is.
    """
    found = constant_metric(workload, train, model, validation, device)
    return validation(model)[1] if found is None else found


def constant_metric(
    workload: Workload, train: Any, model: nn.Module, validation: Evaluation, device: str = "cpu"
) -> float | None:
    """Return the metric of the best constant outputs, which follows from the data alone; None if there are none."""
    best = None if workload.baseline == "initial" else best_constant(workload, train, model, device)
    return None if best is None else validation(_Constant(best))[1]


def best_constant(workload: Workload, train: Any, model: nn.Module, device: str = "cpu") -> Tensor | None:
    """Return the outputs of one example, constant over examples, with the least training loss; None if there are none.

    None also where the loss is not a function of one output tensor: it then raises, whatever the exception.
    """
    try:
        start = _zero_outputs(model, read_batch(workload, train, [0], device)[0])
        if start is None:
            return None
        found, gain = _minimize(workload, _some_targets(workload, train, start.numel(), device), start)
    except Exception:
        return None
    bounded = math.isfinite(gain) and gain >= 0 and float(found.abs().max()) <= LARGEST_CONSTANT
    return found if bounded else None


def _some_targets(workload: Workload, train: Any, n_outputs: int, device: str) -> Tensor:
    """Return the targets of evenly spaced examples, so that data sorted by class give all their classes."""
    n_train, most = examples_in(train), MOST_TARGETS if is_arrays(train) else MOST_TARGETS_READ
    count = max(1, min(n_train, most, MOST_OUTPUTS // max(1, n_outputs)))
    chosen = torch.linspace(0, n_train - 1, count).round().long()
    if is_arrays(train):
        targets: Tensor = train[1]
        return targets[chosen.to(targets.device)].to(device)
    read: Tensor = read_batch(workload, train, chosen.tolist(), device)[1]
    return read


@torch.enable_grad()
def _minimize(workload: Workload, targets: Tensor, start: Tensor) -> tuple[Tensor, float]:
    """Return the constant outputs that L-BFGS arrives at, and by how much their loss is below that of `start`."""
    constant, loss_function = _Constant(nn.Parameter(start)), loss_on(workload, str(start.device))
    optimizer = torch.optim.LBFGS(
        constant.parameters(),
        max_iter=200,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = loss_function(constant(targets), targets)
        loss.backward()
        return float(loss.detach())

    at_start = closure()
    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return constant.outputs.detach(), at_start - closure()


class _Constant(nn.Module):
    """Gives the same outputs to every example; of the inputs only their number matters."""

    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, inputs: Any) -> Tensor:
        first = inputs
        while not isinstance(first, Tensor):
            first = next(iter(first.values() if isinstance(first, Mapping) else first))
        return self.outputs.expand(len(first), *self.outputs.shape)


@torch.no_grad()
def _zero_outputs(model: nn.Module, inputs: Any) -> Tensor | None:
    with evaluation_mode(model):
        outputs = model(inputs)
    if not isinstance(outputs, Tensor) or outputs.ndim == 0 or len(outputs) != 1:
        return None
    return torch.zeros_like(outputs[0])
