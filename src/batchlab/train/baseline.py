"""What a trained model has to beat: the best constant outputs, or the model it started from."""

import math

import torch
from torch import Tensor, nn

from batchlab.train.evaluation import evaluate, evaluation_mode
from batchlab.workload import Splits, Workload

MOST_TARGETS = 10_000
MOST_OUTPUTS = 10_000_000
LARGEST_CONSTANT = 1e6


def baseline_metric(workload: Workload, splits: Splits, model: nn.Module) -> float:
    """Return the validation metric of the constant outputs with the least training loss, the same for every example.

    With cross entropy the constants are the log class frequencies, with squared error the mean: the best that can be
    done without looking at the inputs. Found by L-BFGS from zeros, over at most 10,000 training targets. Where the
    workload says so, or the loss has no minimum over constants, it is the metric of `model` as it is instead.

    Args:
        workload: its loss, metric and `baseline` count.
        splits: of one trial; training and validation data are used.
        model: untrained; shows the shape of one example's outputs. Left as found, in mode and weights.
    """
    best = None if workload.baseline == "initial" else best_constant(workload, splits, model)
    subject = model if best is None else _Constant(best)
    return evaluate(subject, workload, splits.valid)[1]


def best_constant(workload: Workload, splits: Splits, model: nn.Module) -> Tensor | None:
    """Return the outputs of one example, constant over examples, with the least training loss; None if there are none.

    None also where the loss is not a function of one output tensor: it then raises, whatever the exception.
    """
    inputs, targets = splits.train
    start = _zero_outputs(model, inputs)
    if start is None:
        return None
    # Evenly spaced, so that data sorted by class give all their classes.
    count = max(1, min(len(targets), MOST_TARGETS, MOST_OUTPUTS // max(1, start.numel())))
    targets = targets[torch.linspace(0, len(targets) - 1, count, device=targets.device).round().long()]
    try:
        found, gain = _minimize(workload, targets, start)
    except Exception:
        return None
    bounded = math.isfinite(gain) and gain >= 0 and float(found.abs().max()) <= LARGEST_CONSTANT
    return found if bounded else None


@torch.enable_grad()
def _minimize(workload: Workload, targets: Tensor, start: Tensor) -> tuple[Tensor, float]:
    """Return the constant outputs that L-BFGS arrives at, and by how much their loss is below that of `start`."""
    constant = _Constant(nn.Parameter(start))
    optimizer = torch.optim.LBFGS(
        constant.parameters(),
        max_iter=200,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = workload.loss(constant(targets), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    at_start = closure()
    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return constant.outputs.detach(), at_start - closure()


class _Constant(nn.Module):
    """Gives the same outputs to every example; of the inputs only their number matters."""

    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, inputs: Tensor) -> Tensor:
        return self.outputs.expand(len(inputs), *self.outputs.shape)


@torch.no_grad()
def _zero_outputs(model: nn.Module, inputs: Tensor) -> Tensor | None:
    with evaluation_mode(model):
        outputs = model(inputs[:1])
    if not isinstance(outputs, Tensor) or outputs.ndim == 0 or len(outputs) != 1:
        return None
    return torch.zeros_like(outputs[0])
