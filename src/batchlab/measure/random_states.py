"""The global generators of torch, NumPy and Python, left as they were found."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy
import torch


@contextmanager
def kept_randomness(devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Leave the generators of torch, those of these GPUs too, of NumPy and of Python as they were found."""
    numpy_state, python_state = numpy.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            numpy.random.set_state(numpy_state)
            random.setstate(python_state)
