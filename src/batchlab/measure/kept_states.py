"""What is trained for a measurement's sake, model, optimizer, loader, is left as it was found."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from batchlab.measure.random_states import kept_randomness
from batchlab.measure.untouched import untouched


@contextmanager
def kept_states(objects: Sequence[Any] = ()) -> Iterator[None]:
    """Let anything be trained inside; put the objects, and all global random states, back afterward.

    Copies lie in the host's memory: on a GPU they would take from what is being measured.

    Args:
        objects: models; anything else with `state_dict` and `load_state_dict`, as optimizers, schedulers, scalers and
            stateful loaders; or with `get_state` and `set_state`, as generators.

    >>> model = nn.Linear(1, 1)
    >>> before = model.weight.item()
    >>> with kept_states([model]):
    ...     _ = nn.init.zeros_(model.weight)
    >>> model.weight.item() == before
    True
    """
    with ExitStack() as stack:
        stack.enter_context(kept_randomness([torch.device("cuda", i) for i in range(torch.cuda.device_count())]))
        for one in objects:
            stack.enter_context(_kept_module(one) if isinstance(one, nn.Module) else _kept_state(one))
        yield


@contextmanager
def _kept_module(model: nn.Module) -> Iterator[None]:
    with untouched(model):
        kept = [(parameter, _copied(parameter)) for parameter in model.parameters()]
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in kept:
                    parameter.copy_(value)


@contextmanager
def _kept_state(one: Any) -> Iterator[None]:
    get, put = ("get_state", "set_state") if hasattr(one, "set_state") else ("state_dict", "load_state_dict")
    state = _pytree.tree_map(_copied, getattr(one, get)())
    try:
        yield
    finally:
        getattr(one, put)(state)


def _copied(value: Any) -> Any:
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else copy.deepcopy(value)
