"""Do model, data, loss and metric fit together? What fails first on two examples becomes one clear error."""

from collections.abc import Callable
from typing import Any, SupportsFloat

import torch
from torch import Tensor, nn

from batchlab.errors import WorkloadError
from batchlab.train.fingerprint import name_of
from batchlab.train.forward import loss_on, under_autocast
from batchlab.train.reading import read_batch
from batchlab.workload import Workload, accuracy_rate, cross_entropy, error_rate
from batchlab.workloads.arrays import SPLIT_WORDS
from batchlab.workloads.datasets import examples_in, is_arrays


@torch.no_grad()
def check_fit(workload: Workload, model: nn.Module, split: Any, name: str, device: str) -> None:
    """Run model, loss and metric on two examples of the split called `name`; `model` is put into evaluation mode."""
    where = f"Workload {workload.name!r}, {SPLIT_WORDS[name]} data: "
    model.eval()
    try:
        batch = read_batch(workload, split, list(range(min(2, examples_in(split)))), device)
    except Exception as cause:
        raise WorkloadError(
            f"{where}examples must make a batch, but raised {_told(cause)}; mend the dataset, or give `collate`, which "
            "makes a batch of a list of items."
        ) from cause
    if workload.step is None:
        _check_pair(workload, model, split, batch, where, device)
    else:
        _check_sums(workload, model, split, where, device)


def _check_pair(workload: Workload, model: nn.Module, split: Any, batch: Any, where: str, device: str) -> None:
    """Check a workload with a loss of (outputs, targets)."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise WorkloadError(
            f"{where}a batch must be (inputs, targets), but is {shape_of(batch)}; give "
            "`step(model, batch) -> (loss_sum, count)` for batches of another shape."
        )
    inputs, targets = batch
    try:
        outputs = under_autocast(workload, device, model)(inputs)
    except Exception as cause:
        raise WorkloadError(
            f"{where}the model must take inputs of {shape_of(inputs)}, but raised {_told(cause)}; "
            "mend the model, or give it the inputs it is made for."
        ) from cause
    if workload.loss is cross_entropy or workload.metric.function in (error_rate, accuracy_rate):
        _check_classes(workload, outputs, split[1] if is_arrays(split) else targets, where)
    _check_is_mean(workload, "loss", (outputs, targets), where, device)
    _check_is_mean(workload, "metric", (outputs, targets), where, device)


def _check_classes(workload: Workload, outputs: Any, targets: Any, where: str) -> None:
    """Check what cross entropy, error and accuracy need: class indices, one an example, each with an output."""
    if not isinstance(outputs, Tensor):
        raise WorkloadError(
            f"{where}the model must return the logits, one tensor, but returned {shape_of(outputs)}; return the logits "
            "alone, or give a `loss` and a `metric` that take what it returns."
        )
    if not isinstance(targets, Tensor):
        return
    part = "loss" if workload.loss is cross_entropy else "metric"
    if targets.ndim == 2 and targets.shape[1] == 1 and not targets.is_floating_point():
        raise WorkloadError(
            f"{where}class labels must be one number an example, but the targets are of {shape_of(targets)}; flatten "
            "them, as in targets.squeeze(1)."
        )
    if part == "metric" and (targets.ndim != 1 or targets.is_floating_point()):
        raise WorkloadError(
            f"{where}the metric {workload.metric.name!r} compares class indices, one an example, but the targets are "
            f"of {shape_of(targets)}; pass `metric=Metric(name, function)` that fits them."
        )
    if outputs.ndim != 2 or targets.ndim != 1 or targets.is_floating_point():
        return
    low, high, n_classes = int(targets.min()), int(targets.max()), outputs.shape[1]
    if low < 0 or high >= n_classes:
        raise WorkloadError(
            f"{where}class labels must lie between 0 and {n_classes - 1}, as the model has {n_classes} outputs, but "
            f"lie between {low} and {high}; number the classes from 0, or give the model more outputs."
        )


def _check_is_mean(workload: Workload, part: str, arguments: tuple[Any, Any], where: str, device: str) -> None:
    """Check that loss or metric is one number a batch; a batch repeated has the same mean, and twice the sum."""
    once = _number(workload, part, arguments, where, device)
    if not all(isinstance(one, Tensor) and one.ndim for one in arguments):
        return
    twice = _number(workload, part, tuple(torch.cat([tensor, tensor]) for tensor in arguments), where, device)
    if once != 0 and abs(twice / once - 2) < 1e-3:
        raise WorkloadError(
            f"{where}the {part} must be a mean over the batch, but doubles when the batch is repeated, from {once:.4g} "
            f"to {twice:.4g}: it is a sum; divide it by the number of examples."
        )


def _number(workload: Workload, part: str, arguments: tuple[Any, ...], where: str, device: str) -> float:
    """Return loss or metric of (outputs, targets) as a number."""
    function = loss_on(workload, device) if part == "loss" else workload.metric.function
    shapes = f"outputs of {shape_of(arguments[0])} and targets of {shape_of(arguments[1])}"
    try:
        value = under_autocast(workload, device, function)(*arguments)
    except Exception as cause:
        raise WorkloadError(
            f"{where}the {part} must take {shapes}, but {name_of(function)} raised {_told(cause)}; "
            f"change the model's outputs, the targets or the {part} so that they fit."
        ) from cause
    if not isinstance(value, (Tensor, SupportsFloat)) or torch.as_tensor(value).numel() != 1:
        raise WorkloadError(
            f"{where}the {part} must be one number, the mean over the batch, but {name_of(function)} returned "
            f"{shape_of(value)} for {shapes}; take the mean."
        )
    return float(value)


def _check_sums(workload: Workload, model: nn.Module, split: Any, where: str, device: str) -> None:
    """Check `step` and its metric on one example, and on the same one twice: sum and count must both double."""
    assert workload.step is not None
    parts = (("step", workload.step), (f"metric {workload.metric.name!r}", workload.metric.function))
    for part, function in parts:
        measured = under_autocast(workload, device, function)
        once, twice = (
            _sum_and_count(part, measured, model, read_batch(workload, split, indices, device), where)
            for indices in ([0], [0, 0])
        )
        if once[0] == 0:
            continue
        growth = twice[0] / once[0], twice[1] / once[1]
        sum_is_mean = abs(growth[0] - 1) < 1e-3 and abs(growth[1] - 2) < 1e-3
        count_is_fixed = abs(growth[0] - 2) < 1e-3 and abs(growth[1] - 1) < 1e-3
        if sum_is_mean or count_is_fixed:
            raise WorkloadError(
                f"{where}the {part} must return a sum and the number it is a sum over, which both double when an "
                f"example is given twice, but its sum grew {growth[0]:.3g}-fold and its count {growth[1]:.3g}-fold; "
                f"{'multiply a mean by its count' if sum_is_mean else 'count the examples or tokens of the batch'}."
            )


def _sum_and_count(
    part: str, function: Callable[..., Any], model: nn.Module, batch: Any, where: str
) -> tuple[float, float]:
    try:
        found = function(model, batch)
    except Exception as cause:
        raise WorkloadError(
            f"{where}the {part} must take (model, batch) with a batch of {shape_of(batch)}, but raised {_told(cause)}; "
            "mend it, or give it the batches it is made for."
        ) from cause
    try:
        total, count = found
        total, count = float(total), float(count)
    except (TypeError, ValueError) as cause:
        raise WorkloadError(
            f"{where}the {part} must return (sum, count), two numbers, but returned {shape_of(found)}; return the sum "
            "of the losses and the number of examples or tokens in it."
        ) from cause
    if not count > 0:
        raise WorkloadError(
            f"{where}the {part} must count something, but its count is {count:g} for an example; count the examples or "
            "tokens of the batch."
        )
    return total, count


def shape_of(value: Any) -> str:
    """Return what a value is, in words for a message: the shape of a tensor, the parts of anything else."""
    if isinstance(value, dict):
        return f"a dictionary with {', '.join(map(str, value))}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if not isinstance(value, Tensor):
        return f"type {type(value).__name__}"
    return f"shape {tuple(value.shape)} ({str(value.dtype).removeprefix('torch.')})"


def _told(cause: Exception) -> str:
    return f"{type(cause).__name__}: {' '.join(str(cause).split()).rstrip('.')}"
