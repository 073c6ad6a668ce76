"""Squared norms of the gradients of single backward passes, taken before they are added to `.grad`."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils.hooks import RemovableHandle

from batchlab.errors import UsageError
from batchlab.measure.squared_norms import is_large, large_squared_norm, squared_norms


class GradientTaps:
    """Hooks on parameters that note the gradient of each backward pass; no copy of a large one is kept.

    A hook on a parameter sees the whole gradient of one backward pass, that of a shared parameter once, and under
    DistributedDataParallel that of the own worker before it is averaged. The difference of accumulated gradients would
    say the same for a buffer of the model's size and three more passes over it. Small gradients are kept as they are
    until `take`: one call for all of them is quicker than one each.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        """Take the parameters; nothing is noted before `open`."""
        self._parameters = tuple(parameters)
        self._handles: list[RemovableHandle] = []
        self._small: dict[int, Tensor] = {}
        self._large: dict[int, Tensor] = {}
        self._twice = False

    def open(self) -> None:
        """Start to note."""
        if not self._handles:
            self._handles = [
                parameter.register_hook(self._hook(index))  # type: ignore[no-untyped-call]
                for index, parameter in enumerate(self._parameters)
            ]

    def close(self) -> None:
        """Stop, and forget what was noted."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._forget()

    def take(self) -> Tensor:
        """Return the squared norms since the last call, shape (parameters,), float64; 0 where no gradient came.

        Raises:
            UsageError: no backward pass was noted, or more than one.
        """
        if self._twice:
            self._forget()
            raise UsageError(
                "`monitor.micro_batch` is called after every backward pass, but there were two or more since the last "
                "call; add the losses of one micro-batch up before `backward()`."
            )
        if not self._small and not self._large:
            raise UsageError(
                "`monitor.micro_batch` is called after the backward pass of a micro-batch, but no gradient came since "
                "the last call; move it behind `backward()`."
            )
        with torch.no_grad():
            found = {**self._large}
            if self._small:
                found.update(zip(self._small, squared_norms(self._small.values()).unbind(), strict=True))
            zero = torch.zeros_like(next(iter(found.values())))
            norms = torch.stack([found.get(index, zero) for index in range(len(self._parameters))])
        self._forget()
        return norms

    def _forget(self) -> None:
        self._small, self._large, self._twice = {}, {}, False

    def _hook(self, index: int) -> Callable[[Tensor], None]:
        def note(gradient: Tensor) -> None:
            self._twice |= index in self._small or index in self._large
            if is_large(gradient):
                self._large[index] = large_squared_norm(gradient.detach())
            else:
                # The tensor itself: while it is held, `.grad` gets a copy of its own and cannot change it.
                self._small[index] = gradient

        return note
