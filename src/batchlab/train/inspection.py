"""What a study has to know of a workload before it plans: that it runs, and a fingerprint that shows a change."""

import contextlib
import platform
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from batchlab.errors import WorkloadError
from batchlab.measure.random_states import kept_randomness
from batchlab.records import Setting, WorkloadInfo
from batchlab.train.fingerprint import fingerprint_of, reads_alike, seeded_model, weight_facts
from batchlab.train.fitting import check_fit
from batchlab.train.injected_noise import takes_weights
from batchlab.train.order import epoch_length, epochs
from batchlab.workload import Splits, Workload, check_splits
from batchlab.workloads.arrays import SPLIT_WORDS
from batchlab.workloads.datasets import examples_in

SEED = 0
DEFAULT_RELATIVE_MARGIN = 0.01
SAME_WEIGHTS = "Every seed starts from the same weights: seeds vary the order of the data and dropout, no more."
UNREPEATABLE = (
    "Training items differ between two reads under one seed: the same trial will not give the same result twice."
)


def inspect_workload(workload: Workload, reference: str, device: str = "cpu") -> WorkloadInfo:
    """Return what is known of a workload without training it, after checking that its parts fit together.

    The fingerprint is a SHA-256 over the initial weights under a fixed seed, the losses of two fixed batches, and
    length, shape and a sample of the data: the same in every process, another one once model, data or loss change.
    An example that is not in the sample may change unnoticed. Random states are left as found.

    Args:
        workload: what is to be trained.
        reference: how a worker finds it, see `load_workload`.
        device: where the model is tried.

    Raises:
        WorkloadError: data, model, loss or metric do not fit together, or do not follow from their seed.
    """
    with _fixed_conditions():
        splits = workload.splits(SEED)
        check_splits(workload, splits)
        model = seeded_model(workload, SEED)
        _check_trainable(workload, model)
        model.to(device)
        for split in SPLIT_WORDS:
            if getattr(splits, split) is not None:
                check_fit(workload, model, getattr(splits, split), split, device)
        _check_sampler(workload, splits.train)
        fingerprint = fingerprint_of(workload, splits, device)
        notes = _notes(workload, splits)
        weights = takes_weights(workload, model, splits.train, device)
    margin = workload.metric.margin
    return WorkloadInfo(
        name=workload.name,
        reference=reference,
        fingerprint=fingerprint,
        n_train=epoch_length(workload, splits.train),
        n_valid=examples_in(splits.valid),
        n_test=0 if splits.test is None else examples_in(splits.test),
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        metric=workload.metric.name,
        higher_is_better=workload.metric.higher_is_better,
        margin=DEFAULT_RELATIVE_MARGIN if margin is None else margin,
        margin_is_relative=margin is None,
        unit=workload.unit,
        optimizer=workload.optimizer_name,
        optimizer_settings=_settings_of(workload),
        default_batch_size=workload.default_batch_size,
        default_epochs=workload.default_epochs,
        redraws=workload.draw is not None,
        notes=notes,
        inspected_on=platform.node(),
        batch_norm=next((name for name, module in model.named_modules() if isinstance(module, _BatchNorm)), None),
        has_pairs=workload.step is None,
        takes_weights=weights,
    )


@contextlib.contextmanager
def _fixed_conditions() -> Iterator[None]:
    """Fix what last digits depend on, one thread and the random states, and restore both."""
    threads = torch.get_num_threads()
    count = torch.cuda.device_count() if torch.cuda.is_initialized() else 0  # type: ignore[no-untyped-call]
    with kept_randomness([torch.device("cuda", index) for index in range(count)]):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _check_trainable(workload: Workload, model: nn.Module) -> None:
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise WorkloadError(
            f"Workload {workload.name!r}: the model must have parameters to train, but none has `requires_grad`; make "
            "them nn.Parameter, or unfreeze some."
        )


def _check_sampler(workload: Workload, train: Any) -> None:
    if workload.sampler is None:
        return
    first, second = (next(epochs(workload, train, SEED)) for _ in range(2))
    if not torch.equal(first, second):
        raise WorkloadError(
            f"Workload {workload.name!r}: the sampler must draw from the generator it is given, but gave other indices "
            "for the same seed; pass it on, as in WeightedRandomSampler(weights, n, generator=generator)."
        )
    low, high, n_train = int(first.min()), int(first.max()), examples_in(train)
    if low < 0 or high >= n_train:
        raise WorkloadError(
            f"Workload {workload.name!r}: the sampler must give indices between 0 and {n_train - 1}, one of a training "
            f"example each, but gave some between {low} and {high}; correct it."
        )


def _notes(workload: Workload, splits: Splits) -> tuple[str, ...]:
    """Return what whoever reads an answer should know of the workload."""
    same = weight_facts(seeded_model(workload, SEED)) == weight_facts(seeded_model(workload, SEED + 1))
    return (*((SAME_WEIGHTS,) if same else ()), *(() if reads_alike(splits.train) else (UNREPEATABLE,)))


def _settings_of(workload: Workload) -> tuple[tuple[str, Setting], ...]:
    return tuple((key, _as_setting(workload, key, value)) for key, value in sorted(_settings(workload).items()))


def _settings(workload: Workload) -> dict[str, Any]:
    return dict(workload.optimizer_settings or {})


def _as_setting(workload: Workload, key: str, value: Any) -> Setting:
    if isinstance(value, (list, tuple)):
        return tuple(float(item) for item in value)
    if isinstance(value, (bool, int, float, str)):
        return value
    raise WorkloadError(
        f"Workload {workload.name!r}: the optimizer setting {key!r} must be a number, true or false, a text or a tuple "
        f"of numbers, as it is stored, but is of type {type(value).__name__}; set it in a function "
        "(params, settings) -> Optimizer instead."
    )
