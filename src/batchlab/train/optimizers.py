"""Optimizers by name, class or function, with torch's own settings."""

import functools
import inspect
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import Parameter
from torch.optim import Optimizer

from batchlab.errors import WorkloadError
from batchlab.records import Settings
from batchlab.workload import Workload
from batchlab.workloads.choices import NAMED_OPTIMIZERS

# Their fused form is the fastest of torch's three, from 13 thousand parameters (one kernel call) to six million (one
# pass over memory), and the only one used: trials are alike whatever else runs.
FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad)


def trained_parameters(model: nn.Module) -> list[Parameter]:
    """Return the parameters that are trained: each once, frozen ones left out."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def make_optimizer(
    workload: Workload, model: nn.Module, name: str, learning_rate: float, settings: Settings
) -> Optimizer:
    """Return the optimizer of a trial.

    Args:
        workload: gives the class or function where `name` is that of its own optimizer.
        model: its parameters that require gradients are trained.
        name: sgd, adam, adamw, rmsprop, adagrad, or the workload's own.
        learning_rate: of the trial; the function of a user gets it as `settings["lr"]`.
        settings: torch's keys without `lr`.
    """
    parameters, keywords = trained_parameters(model), {"lr": learning_rate, **dict(settings)}
    own = workload.optimizer if name == workload.optimizer_name and not isinstance(workload.optimizer, str) else None
    kind = own or NAMED_OPTIMIZERS[name]
    if isinstance(kind, type):
        optimizer: Optimizer = kind(parameters, **({"fused": True} if kind in FUSED else {}), **keywords)
        return optimizer
    wants_model = next(iter(inspect.signature(kind).parameters), "") == "model"
    made = kind(model if wants_model else parameters, keywords)
    if not isinstance(made, Optimizer):
        raise WorkloadError(
            f"Workload {workload.name!r}: the optimizer function must return a torch.optim.Optimizer, but returned "
            f"{type(made).__name__}; return the optimizer it makes."
        )
    return made


def bare_step(optimizer: Optimizer) -> Callable[[], object]:
    """Return the function that makes a step of the optimizer.

    Of torch's own classes that have a fused form it is the step without the profiler's and the hooks' wrapper, which
    takes longer than the fused update of a small model.
    """
    inner = getattr(type(optimizer).step, "__wrapped__", None)
    return optimizer.step if inner is None or type(optimizer) not in FUSED else functools.partial(inner, optimizer)


def learning_rate_ratios(optimizer: Optimizer, learning_rate: float) -> Sequence[float]:
    """Return the learning rate of each parameter group over that of the trial: a schedule moves them together."""
    return [float(group["lr"]) / learning_rate for group in optimizer.param_groups]
