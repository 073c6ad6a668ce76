"""The fingerprint of a workload: facts that are the same in every process, and others once something changes."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from batchlab.errors import WorkloadError
from batchlab.measure.random_states import kept_randomness
from batchlab.train.forward import forward_of, under_autocast
from batchlab.train.reading import read_batch
from batchlab.train.seeding import seed_everything
from batchlab.workload import Splits, Workload
from batchlab.workloads.arrays import SPLIT_WORDS, named_tensors
from batchlab.workloads.datasets import examples_in, is_arrays, read_items

SEED = 0
SAMPLED_EXAMPLES, SAMPLED_ITEMS = 256, 32
LOSS_EXAMPLES = 32


def fingerprint_of(workload: Workload, splits: Splits, device: str) -> str:
    """Return the SHA-256 of all facts.

    Raises:
        WorkloadError: model or data do not follow from their seed, or the loss not from the model.
    """
    facts = [*weight_facts(seeded_model(workload, SEED)), *_data_facts(splits)]
    _check_repeatable(workload, facts)
    facts += [*_choice_facts(workload), *_loss_facts(workload, splits, device)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def seeded_model(workload: Workload, seed: int) -> nn.Module:
    """Return the model of a seed, on the CPU."""
    seed_everything(seed)
    return workload.make_model().cpu()


def weight_facts(model: nn.Module) -> list[str]:
    """Return name, shape and digest of everything a model holds."""
    named = [*model.named_parameters(), *model.named_buffers()]
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return [f"weight {name} {name in trained} {_digest(tensor)}" for name, tensor in named]


def reads_alike(split: Any) -> bool:
    """Return whether two reads of a split's items under one seed are the same."""
    return is_arrays(split) or _item_digests(split) == _item_digests(split)


def _check_repeatable(workload: Workload, facts: list[str]) -> None:
    """Make model and data a second time: what does not follow from its seed would make every trial another one."""
    weights = weight_facts(seeded_model(workload, SEED))
    if weights != facts[: len(weights)]:
        raise WorkloadError(
            f"Workload {workload.name!r}: `model()` must give the same weights under the same seed, but gave others "
            "the second time; take all its randomness from torch, NumPy or `random`."
        )
    if workload.draw is not None and _data_facts(workload.splits(SEED)) != facts[len(weights) :]:
        raise WorkloadError(
            f"Workload {workload.name!r}: `draw(seed)` must give the same data for the same seed, but gave others the "
            "second time; take all its randomness from the seed."
        )


def _choice_facts(workload: Workload) -> list[str]:
    metric = workload.metric
    own = "" if isinstance(workload.optimizer, str) else f" {name_of(workload.optimizer)}"
    return [
        f"loss {name_of(workload.step or workload.loss)}",
        f"metric {metric.name} {metric.higher_is_better} {name_of(metric.function)}",
        f"baseline {workload.baseline} redraws {workload.draw is not None}",
        f"autocast {workload.autocast} clip {workload.clip_norm} optimizer{own}",
        f"collate {name_of(workload.collate)} sampler {name_of(workload.sampler)} cache {workload.cache}",
    ]


def _data_facts(splits: Splits) -> list[str]:
    facts = []
    for split in SPLIT_WORDS:
        data = getattr(splits, split)
        if data is None:
            continue
        if is_arrays(data):
            tensors = named_tensors(data)
            facts += [f"data {split} {part} {len(one)} {_digest(_sample(one))}" for part, one in tensors]
        else:
            alike = reads_alike(data)
            facts += [f"data {split} {len(data)}", *(_item_digests(data) if alike else ["not repeatable"])]
    return facts


def _loss_facts(workload: Workload, splits: Splits, device: str) -> list[str]:
    """Describe the losses of two fixed batches: training mode shows dropout and noise, evaluation mode the rest.

    To five digits, as the last ones differ between processors.
    """
    facts = []
    for mode, split in ((True, splits.train), (False, splits.valid)):
        indices = _spread(examples_in(split), LOSS_EXAMPLES)
        model = seeded_model(workload, SEED).to(device).train(mode)
        batch = read_batch(workload, split, indices, device)
        seed_everything(SEED)
        loss, _ = forward_of(workload, model, device)(batch, len(indices))
        if mode:
            _check_depends_on_model(workload, loss)
        facts.append(f"batch {mode} {float(loss.detach()):.4e} {_metric(workload, model, batch, device):.4e}")
    return facts


def _check_depends_on_model(workload: Workload, loss: Any) -> None:
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        raise WorkloadError(
            f"Workload {workload.name!r}: the loss must be a tensor that depends on the model's trained parameters, "
            "but no gradient reaches them; leave out `detach`, `item` and `no_grad` on the way."
        )


@torch.no_grad()
def _metric(workload: Workload, model: nn.Module, batch: Any, device: str) -> float:
    if workload.step is not None:
        total, count = under_autocast(workload, device, workload.metric.function)(model, batch)
        return float(total) / float(count)
    inputs, targets = batch
    return float(workload.metric.function(under_autocast(workload, device, model)(inputs), targets))


def _spread(count: int, most: int) -> list[int]:
    """Return at most `most` of `count` indices, first and last among them, evenly spaced."""
    return list(range(count)) if count <= most else [index * (count - 1) // (most - 1) for index in range(most)]


def _sample(tensor: Tensor) -> Tensor:
    return tensor if len(tensor) <= SAMPLED_EXAMPLES else tensor[_spread(len(tensor), SAMPLED_EXAMPLES)]


def _item_digests(dataset: Any) -> list[str]:
    with kept_randomness():
        seed_everything(SEED, devices=False)
        return [_digest(item) for item in read_items(dataset, _spread(len(dataset), SAMPLED_ITEMS))]


def _digest(value: Any) -> str:
    """Return a digest of anything a dataset may yield; of unknown objects their type, and their pixels if any."""
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        dtype = str(value.dtype).removeprefix("torch.")
        return f"shape {tuple(value.shape)} ({dtype}) {hashlib.sha256(content).hexdigest()}"
    if isinstance(value, np.ndarray):
        return _digest(torch.from_numpy(value.copy())) if value.dtype.kind in "fiub" else repr(value.tolist())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_digest(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_digest, value)) + "]"
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None), np.generic)):
        return repr(value)
    pixels = hashlib.sha256(value.tobytes()).hexdigest() if hasattr(value, "tobytes") else ""
    return f"{type(value).__name__} {pixels}"


def name_of(function: Callable[..., Any] | None) -> str:
    """Return the name of a function, of what a partial calls, or of an object's class."""
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return str(getattr(function, "__name__", type(function).__name__))
