"""Which controls a study may have beside it: their names, and what each asks of the workload."""

from typing import Any

from batchlab.errors import UsageError
from batchlab.records import WorkloadInfo
from batchlab.studies.option_values import count, one_of

# The keys of `analyze.controls.CONTROLS`, which a command must not import to help.
CONTROLS = ("lr", "equal-updates", "extra-training", "noise", "aa", "random-labels")


def read_controls(value: Any, info: WorkloadInfo, *, of_one_size: int | None = None) -> tuple[str, ...]:
    """Return the names of controls, given as a list or as "lr,noise", in their usual order.

    Raises:
        UsageError: there is no such control, or the workload is none for it: one message a mistake.
    """
    asked = value.split(",") if isinstance(value, str) else value
    names = {one_of("controls", name, CONTROLS) for name in asked}
    mistakes = []
    if names and of_one_size is not None:
        mistakes.append(
            f"A study of one batch size ({of_one_size}) is a control itself, got `controls` beside it; leave them out."
        )
    if "noise" in names:
        mistakes += _why_no_weights("The control noise", info)
    if "random-labels" in names and not info.has_pairs:
        mistakes.append(_no_labels("The control random-labels", info))
    if mistakes:
        raise UsageError(*mistakes)
    return tuple(name for name in CONTROLS if name in names)


def read_permute_labels(value: Any, info: WorkloadInfo) -> bool:
    """Return whether labels are to be permuted."""
    if not isinstance(value, bool):
        raise UsageError(f"`permute_labels` is true or false, got {value!r}; correct it.")
    if value and not info.has_pairs:
        raise UsageError(_no_labels("`permute_labels`", info))
    return value


def read_noise_batch_size(value: Any, info: WorkloadInfo) -> int | None:
    """Return the batch size whose gradient noise is injected, None where it is not."""
    if value is None:
        return None
    mistakes = _why_no_weights("`noise_batch_size`", info)
    if mistakes:
        raise UsageError(*mistakes)
    return count("noise_batch_size", value, 1)


def _why_no_weights(who: str, info: WorkloadInfo) -> list[str]:
    if info.batch_norm is not None:
        return [f"{who} weights examples, and batch norm (module {info.batch_norm}) mixes them; leave it out."]
    if not info.takes_weights:
        return [f"{who} weights examples, and the loss of {info.name} is not the mean of theirs; leave it out."]
    return []


def _no_labels(who: str, info: WorkloadInfo) -> str:
    return f"{who} permutes targets, and the batches of {info.name} are not (inputs, targets); leave it out."
