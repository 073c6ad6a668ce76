"""What decides and what is descended: `Metric`, and the loss and the metrics of classification."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from batchlab.errors import WorkloadError


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
        function: outputs and targets of a batch in, the mean over its examples out. Beside a workload's `step` it is
            `function(model, batch) -> (sum, count)` instead.
        higher_is_better: the direction.
        margin: the difference that would not matter, in the metric's unit; None is 1 % of the best value.
    """

    name: str
    function: Callable[..., Any]
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
