"""The loop never waits for the device: a number that Python reads off a tensor makes the host wait for a GPU."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from batchlab.train.reading import on_device, open_reader
from batchlab.train.step import make_stepper, train_step
from batchlab.train.trial import run_trial
from batchlab.workload import Metric, Workload
from cases import tiny_classifier
from train_settings import settings

# What a GPU has to have finished before the host can go on.
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal", "is_nonzero"}


class Counting(TorchDispatchMode):
    """Counts the operations that wait, whoever calls them: `item`, `float`, `bool`, a mask as an index."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in WAITS:
            self.waits[name] += 1
        return function(*args, **(kwargs or {}))


def own_step(model: torch.nn.Module, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a sum of losses and a count that is a tensor, as of tokens that are no padding."""
    inputs, targets = batch
    loss = functional.cross_entropy(model(inputs), targets, reduction="sum")
    return loss, (targets >= 0).sum()


WORKLOADS = {
    "plain": tiny_classifier(),
    "clipped": tiny_classifier(clip_norm=1.0),
    "bfloat16": tiny_classifier(autocast="bfloat16"),
    "own step": tiny_classifier(step=own_step, metric=Metric("loss", own_step)),
}


def waits(workload: Workload, n_steps: int, **changes: Any) -> Counter[str]:
    """Return what a trial of so many steps waits for; evaluations are those before the first and after the last."""
    with Counting() as counting:
        run_trial(workload, settings(n_steps=n_steps, evaluate_at=(), **changes))
    return counting.waits


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("changes", [{}, {"micro_batch_size": 3}, {"optimizer": "adamw", "optimizer_settings": ()}])
def test_more_steps_wait_no_more_often(name: str, changes: dict[str, Any]) -> None:
    workload = WORKLOADS[name]
    waits(workload, 1, **changes)
    assert waits(workload, 40, **changes) == waits(workload, 10, **changes)


def test_a_loss_that_is_read_at_each_step_would_be_noticed() -> None:
    def watched(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = functional.cross_entropy(outputs, targets)
        assert loss.item() < 1e9
        return loss

    workload = tiny_classifier(loss=watched)
    waits(workload, 1)
    assert (waits(workload, 40) - waits(workload, 10))["_local_scalar_dense"] == 30


def plain_sgd(parameters: Any, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """Return torch's optimizer without a fused form, which the device of the next test does not have."""
    return torch.optim.SGD(parameters, foreach=True, **settings)


@pytest.mark.parametrize("changes", [{}, {"clip_norm": 1.0}, {"step": own_step, "metric": Metric("loss", own_step)}])
def test_a_step_on_another_device_keeps_everything_there(changes: dict[str, Any]) -> None:
    # Tensors on "meta" have no values: to read one is an error, and so is to mix them with others.
    workload = tiny_classifier(optimizer=plain_sgd, **changes)
    asked = settings(device="meta", optimizer=workload.optimizer_name)
    train = on_device(workload.splits(0).train, "meta")
    stepper = make_stepper(workload, workload.make_model().to("meta"), asked)
    chunks = torch.arange(16).split(8)
    read = open_reader(workload, train, chunks, 0, "meta")
    for _ in range(2):
        loss_sum, _ = train_step(stepper, chunks, read)
    assert loss_sum.device.type == "meta"
    assert {parameter.grad.device.type for parameter in stepper.parameters} == {"meta"}
