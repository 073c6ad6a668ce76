"""Random seeds that follow from names, so that changing one source of randomness leaves the others alone."""

import hashlib
import random

import numpy
import torch


def derive_seed(base_seed: int, *names: object) -> int:
    """Return a 63-bit seed that is a fixed function of `base_seed` and `names`.

    >>> derive_seed(0, "weights", 3) == derive_seed(0, "weights", 3)
    True
    >>> derive_seed(0, "weights", 3) == derive_seed(0, "order", 3)
    False
    """
    text = "/".join([str(base_seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_everything(seed: int, *, devices: bool = True) -> None:
    """Seed the global generators of torch, NumPy and Python, those of GPUs too unless told otherwise."""
    if devices:
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
    numpy.random.seed(seed % 2**32)
    random.seed(seed)
