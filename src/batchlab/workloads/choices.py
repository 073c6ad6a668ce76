"""What may be chosen in a workload, and the checks that say so."""

from typing import Any

import torch

from batchlab.errors import WorkloadError
from batchlab.workloads.metrics import Metric, cross_entropy

DEFAULT_SETTINGS: dict[str, dict[str, Any]] = {"sgd": {"lr": 0.05, "momentum": 0.9}}
OTHER_SETTINGS = {"lr": 1e-3}
NAMED_OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
AUTOCAST = {
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    torch.bfloat16: "bfloat16",
    "float16": "float16",
    "fp16": "float16",
    torch.float16: "float16",
}


def check_sources(workload: Any) -> None:
    """Raise a WorkloadError unless the data come from one place."""
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


def check_choices(workload: Any) -> None:
    """Raise a WorkloadError at the first argument of a workload that cannot be right."""
    if workload.baseline not in ("constant", "initial"):
        raise WorkloadError(
            f"Workload {workload.name!r}: `baseline` must be 'constant' or 'initial', but is {workload.baseline!r}; "
            "use 'initial' where constant outputs mean nothing."
        )
    for part in ("default_batch_size", "default_epochs", "clip_norm", "evaluation_batch_size"):
        value = getattr(workload, part)
        if value is not None and not value > 0:
            raise WorkloadError(
                f"Workload {workload.name!r}: `{part}` must be above 0, but is {value}; leave it out to use the "
                "default."
            )
    for part in ("model", "loss", "metric", "step", "collate", "sampler"):
        value = getattr(workload, part)
        if value is None and part in ("step", "collate", "sampler"):
            continue
        if not (isinstance(value, Metric) if part == "metric" else callable(value)):
            wanted = "a batchlab.Metric" if part == "metric" else "callable"
            raise WorkloadError(
                f"Workload {workload.name!r}: `{part}` must be {wanted}, but is {type(value).__name__}; "
                "see help(batchlab.Workload)."
            )
    if workload.step is not None and workload.loss is not cross_entropy:
        raise WorkloadError(
            f"Workload {workload.name!r} must have either `loss` or `step`, but has both; leave one of them out."
        )


def autocast_of(workload: Any) -> str | None:
    """Return the name of the type that autocast computes in, None for full precision."""
    if workload.autocast is None:
        return None
    if workload.autocast not in AUTOCAST:
        raise WorkloadError(
            f"Workload {workload.name!r}: `autocast` must be 'bfloat16' or 'float16', but is {workload.autocast!r}; "
            "leave it out for full precision."
        )
    return AUTOCAST[workload.autocast]


def complete_settings(workload: Any) -> dict[str, Any]:
    """Return the optimizer's settings with a learning rate among them."""
    if isinstance(workload.optimizer, str) and workload.optimizer not in NAMED_OPTIMIZERS:
        raise WorkloadError(
            f"Workload {workload.name!r}: the optimizer must be {', '.join(NAMED_OPTIMIZERS)}, a torch class or a "
            f"function (params, settings) -> Optimizer, but is {workload.optimizer!r}; give its class instead."
        )
    defaults = DEFAULT_SETTINGS.get(workload.optimizer_name, OTHER_SETTINGS)
    given = workload.optimizer_settings
    settings = dict(defaults) if given is None else {"lr": defaults["lr"], **given}
    if not settings["lr"] > 0:
        raise WorkloadError(
            f"Workload {workload.name!r}: the learning rate `lr` must be above 0, but is {settings['lr']}; "
            "give the one you would start from."
        )
    return settings
