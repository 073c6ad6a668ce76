"""What a study has to know of a workload before it plans: that it runs, and a fingerprint that shows a change."""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, SupportsFloat

import torch
from torch import Tensor, nn

from batchlab.errors import WorkloadError
from batchlab.records import Setting, WorkloadInfo
from batchlab.workload import Splits, Workload, accuracy_rate, check_splits, cross_entropy, error_rate
from batchlab.workloads.arrays import SPLIT_WORDS, Pair

SEED = 0
SAMPLED_EXAMPLES = 256
LOSS_EXAMPLES = 32
DEFAULT_RELATIVE_MARGIN = 0.01


def inspect_workload(workload: Workload, reference: str) -> WorkloadInfo:
    """Return what is known of a workload without training it, after checking that its parts fit together.

    The fingerprint is a SHA-256 over the initial weights under a fixed seed, the losses of two fixed batches, and
    length, shape and a sample of the data: the same in every process, another one once model, data or loss change.
    An example that is not in the sample may change unnoticed. torch's random state is left as found.

    Args:
        workload: what is to be trained.
        reference: how a worker finds it, see `load_workload`.

    Raises:
        WorkloadError: data, model, loss or metric do not fit together, or do not follow from their seed.
    """
    with _fixed_conditions():
        splits = workload.splits(SEED)
        check_splits(workload, splits)
        model = _seeded_model(workload)
        fingerprint = _checked_fingerprint(workload, splits, model)
    margin = workload.metric.margin
    return WorkloadInfo(
        name=workload.name,
        reference=reference,
        fingerprint=fingerprint,
        n_train=len(splits.train[0]),
        n_valid=len(splits.valid[0]),
        n_test=0 if splits.test is None else len(splits.test[0]),
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        metric=workload.metric.name,
        higher_is_better=workload.metric.higher_is_better,
        margin=DEFAULT_RELATIVE_MARGIN if margin is None else margin,
        margin_is_relative=margin is None,
        unit=workload.unit,
        optimizer=workload.optimizer,
        optimizer_settings=tuple(
            (key, _as_setting(value)) for key, value in sorted((workload.optimizer_settings or {}).items())
        ),
        default_batch_size=workload.default_batch_size,
        default_epochs=workload.default_epochs,
        redraws=workload.draw is not None,
    )


@contextlib.contextmanager
def _fixed_conditions() -> Iterator[None]:
    """Fix what last digits depend on, one thread and torch's random state, and restore both."""
    threads = torch.get_num_threads()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=devices):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _seeded_model(workload: Workload) -> nn.Module:
    torch.manual_seed(SEED)
    return workload.make_model().cpu()


def _checked_fingerprint(workload: Workload, splits: Splits, model: nn.Module) -> str:
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise WorkloadError(
            f"Workload {workload.name!r}: the model must have parameters to train, but none has `requires_grad`; make "
            "them nn.Parameter, or unfreeze some."
        )
    facts = [*_weight_facts(model), *_data_facts(splits)]
    for split in SPLIT_WORDS:
        pair = getattr(splits, split)
        if pair is not None:
            _check_fit(workload, model, pair, split)
    _check_repeatable(workload, facts)
    facts += [*_choice_facts(workload), *_loss_facts(workload, splits)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


@torch.no_grad()
def _check_fit(workload: Workload, model: nn.Module, pair: Pair, split: str) -> None:
    """Run model, loss and metric on two examples of a split; the first thing that fails becomes one clear error."""
    inputs, targets = (tensor[:2].cpu() for tensor in pair)
    where = f"Workload {workload.name!r}, {SPLIT_WORDS[split]} data: "
    model.eval()
    try:
        outputs = model(inputs)
    except Exception as cause:
        raise WorkloadError(
            f"{where}the model must take inputs of {_shape(inputs)}, but raised {_told(cause)}; "
            "mend the model, or give it the inputs it is made for."
        ) from cause
    if workload.loss is cross_entropy or workload.metric.function in (error_rate, accuracy_rate):
        _check_classes(workload, outputs, pair[1], where)
    _check_is_mean(workload, "loss", (outputs, targets), where)
    _check_is_mean(workload, "metric", (outputs, targets), where)


def _check_classes(workload: Workload, outputs: Any, targets: Tensor, where: str) -> None:
    """Check what cross entropy, error and accuracy need: class indices, one an example, each with an output."""
    part = "loss" if workload.loss is cross_entropy else "metric"
    if part == "metric" and (targets.ndim != 1 or targets.is_floating_point()):
        raise WorkloadError(
            f"{where}the metric {workload.metric.name!r} compares class indices, one an example, but the targets are "
            f"of {_shape(targets)}; pass `metric=Metric(name, function)` that fits them."
        )
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or targets.ndim != 1 or targets.is_floating_point():
        return
    low, high, n_classes = int(targets.min()), int(targets.max()), outputs.shape[1]
    if low < 0 or high >= n_classes:
        raise WorkloadError(
            f"{where}class labels must lie between 0 and {n_classes - 1}, as the model has {n_classes} outputs, but "
            f"lie between {low} and {high}; number the classes from 0, or give the model more outputs."
        )


def _check_is_mean(workload: Workload, part: str, arguments: tuple[Any, Tensor], where: str) -> None:
    """Check that loss or metric is one number a batch; a batch repeated has the same mean, and twice the sum."""
    once = _number(workload, part, arguments, where)
    if not isinstance(arguments[0], Tensor) or arguments[0].ndim == 0:
        return
    twice = _number(workload, part, tuple(torch.cat([tensor, tensor]) for tensor in arguments), where)
    if once != 0 and abs(twice / once - 2) < 1e-3:
        raise WorkloadError(
            f"{where}the {part} must be a mean over the batch, but doubles when the batch is repeated, from {once:.4g} "
            f"to {twice:.4g}: it is a sum; divide it by the number of examples."
        )


def _number(workload: Workload, part: str, arguments: tuple[Any, ...], where: str) -> float:
    """Return loss or metric of (outputs, targets) as a number."""
    function = workload.loss if part == "loss" else workload.metric.function
    shapes = f"outputs of {_shape(arguments[0])} and targets of {_shape(arguments[1])}"
    try:
        value = function(*arguments)
    except Exception as cause:
        raise WorkloadError(
            f"{where}the {part} must take {shapes}, but {_name(function)} raised {_told(cause)}; "
            f"change the model's outputs, the targets or the {part} so that they fit."
        ) from cause
    if not isinstance(value, (Tensor, SupportsFloat)) or torch.as_tensor(value).numel() != 1:
        raise WorkloadError(
            f"{where}the {part} must be one number, the mean over the batch, but {_name(function)} returned "
            f"{_shape(value)} for {shapes}; take the mean."
        )
    return float(value)


def _check_repeatable(workload: Workload, facts: list[str]) -> None:
    """Make model and data a second time: what does not follow from its seed would make every trial another one."""
    weights = _weight_facts(_seeded_model(workload))
    if weights != facts[: len(weights)]:
        raise WorkloadError(
            f"Workload {workload.name!r}: `model()` must give the same weights under the same torch.manual_seed, but "
            "gave others the second time; take all its randomness from torch."
        )
    if workload.draw is not None and _data_facts(workload.splits(SEED)) != facts[len(weights) :]:
        raise WorkloadError(
            f"Workload {workload.name!r}: `draw(seed)` must give the same data for the same seed, but gave others the "
            "second time; take all its randomness from the seed."
        )


def _choice_facts(workload: Workload) -> list[str]:
    metric = workload.metric
    return [
        f"loss {_name(workload.loss)}",
        f"metric {metric.name} {metric.higher_is_better} {_name(metric.function)}",
        f"baseline {workload.baseline} redraws {workload.draw is not None}",
    ]


def _weight_facts(model: nn.Module) -> list[str]:
    named = [*model.named_parameters(), *model.named_buffers()]
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return [f"weight {name} {name in trained} {_digest(tensor)}" for name, tensor in named]


def _data_facts(splits: Splits) -> list[str]:
    pairs = [(split, getattr(splits, split)) for split in SPLIT_WORDS]
    return [
        f"data {split} {len(tensor)} {_digest(_sample(tensor, SAMPLED_EXAMPLES))}"
        for split, pair in pairs
        if pair is not None
        for tensor in pair
    ]


@torch.no_grad()
def _loss_facts(workload: Workload, splits: Splits) -> list[str]:
    """Describe the losses of two fixed batches: training mode shows dropout and noise, evaluation mode the rest.

    To five digits, as the last ones differ between processors.
    """
    facts = []
    for mode, pair in ((True, splits.train), (False, splits.valid)):
        inputs, targets = (_sample(tensor, LOSS_EXAMPLES).cpu() for tensor in pair)
        model = _seeded_model(workload).train(mode)
        torch.manual_seed(SEED)
        outputs = model(inputs)
        value = float(workload.metric.function(outputs, targets))
        facts.append(f"batch {mode} {float(workload.loss(outputs, targets)):.4e} {value:.4e}")
    return facts


def _sample(tensor: Tensor, count: int) -> Tensor:
    """Return at most `count` entries of `tensor`, first and last among them, evenly spaced."""
    if len(tensor) <= count:
        return tensor
    return tensor[[index * (len(tensor) - 1) // (count - 1) for index in range(count)]]


def _digest(tensor: Tensor) -> str:
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return f"{_shape(tensor)} {hashlib.sha256(content).hexdigest()}"


def _shape(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"type {type(value).__name__}"
    return f"shape {tuple(value.shape)} ({str(value.dtype).removeprefix('torch.')})"


def _told(cause: Exception) -> str:
    return f"{type(cause).__name__}: {' '.join(str(cause).split()).rstrip('.')}"


def _name(function: Callable[..., Any]) -> str:
    if isinstance(function, functools.partial):
        return _name(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def _as_setting(value: Any) -> Setting:
    return tuple(float(item) for item in value) if isinstance(value, (list, tuple)) else value
