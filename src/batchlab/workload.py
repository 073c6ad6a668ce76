"""What is trained: the `Workload` a user brings and its `Metric`; `load_workload` finds one by reference."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from batchlab.errors import WorkloadError
from batchlab.workloads.arrays import Pair, as_pair, check_pair

LossFunction = Callable[[Tensor, Tensor], Tensor]

DEFAULT_SETTINGS: dict[str, dict[str, Any]] = {"sgd": {"lr": 0.05, "momentum": 0.9}}
OTHER_SETTINGS = {"lr": 1e-3}


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross entropy of logits `outputs` (n, classes) and class indices `targets` (n,), in nats."""
    return nn.functional.cross_entropy(outputs, targets)


def error_rate(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of examples whose largest of `outputs` (n, classes) is not at `targets` (n,)."""
    return (outputs.argmax(dim=1) != targets).float().mean()


def accuracy_rate(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of examples whose largest of `outputs` (n, classes) is at `targets` (n,)."""
    return (outputs.argmax(dim=1) == targets).float().mean()


@dataclass(frozen=True, slots=True)
class Metric:
    """What decides: `function(outputs, targets)`, a mean over the batch.

    Args:
        name: as printed; "error" and "accuracy" are shown in per cent.
        function: outputs and targets of a batch in, the mean over its examples out.
        higher_is_better: the direction.
        margin: the difference that would not matter, in the metric's unit; None is 1 % of the best value.
    """

    name: str
    function: LossFunction
    higher_is_better: bool = False
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.margin is not None and not self.margin > 0:
            raise WorkloadError(
                f"The margin of metric {self.name!r} must be above 0, but is {self.margin:g}; "
                "use the difference that would not matter, or None for 1 % of the best value."
            )


error = Metric("error", error_rate, margin=0.005)
accuracy = Metric("accuracy", accuracy_rate, higher_is_better=True, margin=0.005)


@dataclass(frozen=True, slots=True)
class Splits:
    """The (inputs, targets) of one trial; `test` may be None."""

    train: Pair
    valid: Pair
    test: Pair | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """What is trained: model, data, loss, metric and optimizer family.

    Args:
        name: as printed.
        model: a callable that makes a fresh module (called under the trial's seed), or a module, which is copied:
            every trial then starts from its weights, and seeds vary the data order only.
        train, valid, test: (inputs, targets), tensors or arrays; the first dimension counts examples. Here, when the
            workload is made, floating arrays become float32 and integer arrays int64; tensors keep their dtype.
        loss: `loss(outputs, targets)`, a mean over the batch.
        metric: what decides, on validation data.
        optimizer: its name, such as "sgd" or "adam".
        optimizer_settings: torch's own keys; without "lr" the family's default is added.
        unit: what one example is called.
        draw: `draw(seed) -> Splits` instead of train, valid and test: every seed has data of its own.
        baseline: what a trained model has to beat, "constant" (the best constant outputs) or "initial".
        default_batch_size, default_epochs: where nothing else was asked for.

    >>> import torch
    >>> data = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    >>> Workload("mine", lambda: nn.Linear(2, 2), data, data).splits(seed=0).test is None
    True
    """

    name: str
    model: Callable[[], nn.Module] | nn.Module
    train: Any = None
    valid: Any = None
    test: Any = None
    _: KW_ONLY
    loss: LossFunction = cross_entropy
    metric: Metric = error
    optimizer: str = "sgd"
    optimizer_settings: Mapping[str, Any] | None = None
    unit: str = "example"
    draw: Callable[[int], Splits] | None = None
    baseline: str = "constant"
    default_batch_size: int = 32
    default_epochs: float = 10

    def __post_init__(self) -> None:
        _check_sources(self)
        _check_choices(self)
        for split in ("train", "valid", "test"):
            data = getattr(self, split)
            if data is not None:
                object.__setattr__(self, split, as_pair(data, self.name, split))
        object.__setattr__(self, "optimizer_settings", _complete_settings(self))

    def splits(self, seed: int) -> Splits:
        """Return the data of the trials with this seed; without `draw` they are the same for all seeds."""
        if self.draw is None:
            return Splits(self.train, self.valid, self.test)
        drawn = self.draw(seed)
        if not isinstance(drawn, Splits):
            raise WorkloadError(
                f"Workload {self.name!r}: `draw(seed)` must return Splits(train, valid, test), but returned "
                f"{type(drawn).__name__}; wrap its pairs in batchlab.workload.Splits."
            )
        test = None if drawn.test is None else as_pair(drawn.test, self.name, "test")
        return Splits(as_pair(drawn.train, self.name, "train"), as_pair(drawn.valid, self.name, "valid"), test)

    def make_model(self) -> nn.Module:
        """Return a fresh model; its weights follow from torch's random state unless `model` is itself a module."""
        if isinstance(self.model, nn.Module):
            return copy.deepcopy(self.model)
        made = self.model()
        if not isinstance(made, nn.Module):
            raise WorkloadError(
                f"Workload {self.name!r}: `model()` must return a torch.nn.Module, but returned {type(made).__name__}; "
                "return the module that maps inputs to outputs."
            )
        return made


def check_splits(workload: Workload, splits: Splits) -> None:
    """Raise a WorkloadError unless every split has examples, a target for each, and finite numbers only."""
    for split in ("train", "valid", "test"):
        pair = getattr(splits, split)
        if pair is not None:
            check_pair(pair, workload.name, split)


def load_workload(ref: str, *, data_dir: str | Path | None = None) -> Workload:
    """Return the workload that `ref` names.

    Args:
        ref: a built-in name ("digits-mlp"), "path/to/file.py:attribute" or "package.module:attribute"; the attribute
            is a Workload or a callable that returns one. The file's folder and the current one are importable.
        data_dir: where the data files lie, for workloads that read some.

    Raises:
        UnknownWorkload: nothing has this name.
        WorkloadError: it was found and could not be loaded; DataMissing and DataCorrupt where that is its data.
        UsageError: `data_dir` is given and the workload reads no files.
    """
    from batchlab.workloads.loading import resolve

    return resolve(ref, None if data_dir is None else Path(data_dir))


def _check_sources(workload: Workload) -> None:
    given = [split for split in ("train", "valid", "test") if getattr(workload, split) is not None]
    if workload.draw is not None and given:
        raise WorkloadError(
            f"Workload {workload.name!r} must have its data either in `train` and `valid` or from `draw`, but got "
            f"`draw` and `{given[0]}`; leave one of them out."
        )
    missing = [split for split in ("train", "valid") if split not in given]
    if workload.draw is None and missing:
        raise WorkloadError(
            f"Workload {workload.name!r} needs training and validation data, but `{missing[0]}` is missing; "
            "pass `train` and `valid`, or `draw`."
        )


def _check_choices(workload: Workload) -> None:
    if workload.baseline not in ("constant", "initial"):
        raise WorkloadError(
            f"Workload {workload.name!r}: `baseline` must be 'constant' or 'initial', but is {workload.baseline!r}; "
            "use 'initial' where constant outputs mean nothing."
        )
    for part in ("default_batch_size", "default_epochs"):
        if not getattr(workload, part) > 0:
            raise WorkloadError(
                f"Workload {workload.name!r}: `{part}` must be above 0, but is {getattr(workload, part)}; "
                "leave it out to use the default."
            )
    for part in ("model", "loss", "metric"):
        value = getattr(workload, part)
        if not (isinstance(value, Metric) if part == "metric" else callable(value)):
            wanted = "a batchlab.Metric" if part == "metric" else "callable"
            raise WorkloadError(
                f"Workload {workload.name!r}: `{part}` must be {wanted}, but is {type(value).__name__}; "
                "see help(batchlab.Workload)."
            )


def _complete_settings(workload: Workload) -> dict[str, Any]:
    defaults = DEFAULT_SETTINGS.get(workload.optimizer, OTHER_SETTINGS)
    given = workload.optimizer_settings
    settings = dict(defaults) if given is None else {"lr": defaults["lr"], **given}
    if not settings["lr"] > 0:
        raise WorkloadError(
            f"Workload {workload.name!r}: the learning rate `lr` must be above 0, but is {settings['lr']}; "
            "give the one you would start from."
        )
    return settings
