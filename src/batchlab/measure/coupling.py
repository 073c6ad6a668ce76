"""Modules through which examples of a batch see one another: with them, one example has no gradient of its own."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from batchlab.errors import WorkloadError


def coupling_module(model: nn.Module) -> str | None:
    """Return the name of the first batch normalization that uses the statistics of the batch, None without one.

    In evaluation mode it uses running statistics, unless it keeps none.
    """
    coupled = (
        name
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None)
    )
    return next(coupled, None)


def check_uncoupled(model: nn.Module) -> None:
    """Raise where single examples have no gradient."""
    name = coupling_module(model)
    if name is not None:
        raise WorkloadError(
            "Gradients of single examples exist only where examples do not see one another, but module "
            f"{name!r} normalizes over the batch; measure micro-batches (`measure_noise`), or put the model into "
            "evaluation mode."
        )
