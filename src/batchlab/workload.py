"""What is trained: the `Workload` a user brings and its `Metric`."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from batchlab.errors import WorkloadError
from batchlab.workloads.arrays import check_arrays, check_not_empty
from batchlab.workloads.choices import NAMED_OPTIMIZERS, autocast_of, check_choices, check_sources, complete_settings
from batchlab.workloads.datasets import Collate, as_split, cached, is_arrays
from batchlab.workloads.metrics import Metric, accuracy, accuracy_rate, cross_entropy, error, error_rate

__all__ = [
    "Metric",
    "Splits",
    "Workload",
    "accuracy",
    "accuracy_rate",
    "check_splits",
    "cross_entropy",
    "error",
    "error_rate",
]

LossFunction = Callable[..., Any]
Step = Callable[[nn.Module, Any], tuple[Tensor, Any]]
Sampler = Callable[[Any, Generator], Iterable[int]]


@dataclass(frozen=True, slots=True)
class Splits:
    """The data of one trial, each part as in `Workload`; `test` may be None."""

    train: Any
    valid: Any
    test: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """What is trained: model, data, loss, metric and optimizer family.

    Args:
        name: as printed.
        model: a callable that makes a fresh module (called under the trial's seed), or a module, which is copied:
            every trial then starts from its weights, and seeds vary the data order only.
        train, valid, test: (inputs, targets) or a dictionary, of tensors or arrays whose first dimension counts the
            examples; or any map-style dataset. Here, when the workload is made, floating arrays become float32 and
            integer arrays int64; tensors keep their dtype.
        loss: `loss(outputs, targets)`, a mean over the batch.
        step: `step(model, batch) -> (loss_sum, count)` instead of `loss`, for batches of any shape, models with a loss
            of their own, and means over tokens rather than examples. Steps follow the gradient of loss_sum / count.
        collate: makes a batch of a list of items, as for padding; torch's default otherwise. For datasets.
        metric: what decides, on validation data; beside a `step` the loss itself unless said otherwise.
        optimizer: a name (sgd, adam, adamw, rmsprop, adagrad), a torch class, or `(params, settings) -> Optimizer`,
            whose first argument is the model instead where it is called `model`. Parameter groups keep the ratio of
            their learning rates.
        optimizer_settings: torch's own keys; without "lr" the family's default is added.
        autocast: "bfloat16" or "float16" for mixed precision; float16 comes with loss scaling.
        clip_norm: gradients are clipped to this norm, over all parameters, before each step.
        unit: what one example is called.
        sampler: `sampler(train, generator) -> indices` of one epoch; a permutation otherwise.
        num_workers: loader processes a trial reads a dataset with, as in a DataLoader.
        cache: read a dataset once and keep it in memory; refused where items are random.
        evaluation_batch_size: examples per forward pass in evaluations.
        draw: `draw(seed) -> Splits` instead of train, valid and test: every seed has data of its own.
        baseline: what a trained model has to beat, "constant" (the best constant outputs) or "initial" (the model it
            started from; always so beside a `step`).
        default_batch_size, default_epochs: where nothing else was asked for.

    What was found out about the data once, and is needed again, is kept in `known`.

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
    step: Step | None = None
    collate: Collate | None = None
    metric: Metric = error
    optimizer: str | Callable[..., Optimizer] = "sgd"
    optimizer_settings: Mapping[str, Any] | None = None
    autocast: Any = None
    clip_norm: float | None = None
    unit: str = "example"
    sampler: Sampler | None = None
    num_workers: int = 0
    cache: bool = False
    evaluation_batch_size: int | None = None
    draw: Callable[[int], Splits] | None = None
    baseline: str = "constant"
    default_batch_size: int = 32
    default_epochs: float = 10

    known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        check_sources(self)
        check_choices(self)
        if self.step is not None:
            object.__setattr__(self, "baseline", "initial")
            if self.metric is error:
                object.__setattr__(self, "metric", Metric("loss", self.step))
        object.__setattr__(self, "autocast", autocast_of(self))
        for split in ("train", "valid", "test"):
            data = getattr(self, split)
            if data is not None:
                object.__setattr__(self, split, as_split(data, self.name, split, collate=self.collate))
        object.__setattr__(self, "optimizer_settings", complete_settings(self))

    @property
    def optimizer_name(self) -> str:
        """Return the optimizer's short name, or that of the class or function the user gave.

        >>> import torch
        >>> data = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
        >>> Workload("mine", nn.Identity(), data, data, optimizer=torch.optim.AdamW).optimizer_name
        'adamw'
        """
        if isinstance(self.optimizer, str):
            return self.optimizer
        short = (name for name, kind in NAMED_OPTIMIZERS.items() if kind is self.optimizer)
        return next(short, str(getattr(self.optimizer, "__name__", type(self.optimizer).__name__)))

    def splits(self, seed: int) -> Splits:
        """Return the data of the trials with this seed; without `draw` they are the same for all seeds."""
        if self.draw is None:
            return Splits(*(self._kept(split) for split in ("train", "valid", "test")))
        drawn = self.draw(seed)
        if not isinstance(drawn, Splits):
            raise WorkloadError(
                f"Workload {self.name!r}: `draw(seed)` must return Splits(train, valid, test), but returned "
                f"{type(drawn).__name__}; wrap its parts in batchlab.workload.Splits."
            )
        parts = (("train", drawn.train), ("valid", drawn.valid), ("test", drawn.test))
        return Splits(
            *(None if data is None else as_split(data, self.name, split, collate=self.collate) for split, data in parts)
        )

    def _kept(self, split: str) -> Any:
        """Return the data of a split, from memory where the workload wants its datasets cached."""
        data = getattr(self, split)
        if data is None or not self.cache or is_arrays(data):
            return data
        if split not in self.known:
            self.known[split] = cached(data, self.name, split, self.collate)
        return self.known[split]

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
    """Raise a WorkloadError unless every split has examples, a target for each, and finite numbers only.

    Of datasets only the length is looked at.
    """
    for split in ("train", "valid", "test"):
        data = getattr(splits, split)
        if data is None:
            continue
        if is_arrays(data):
            check_arrays(data, workload.name, split)
        else:
            check_not_empty(len(data), workload.name, split)
