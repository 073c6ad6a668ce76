"""Random seeds that follow from names, so that changing one source of randomness leaves the others alone."""

import hashlib


def derive_seed(base_seed: int, *names: object) -> int:
    """Return a 63-bit seed that is a fixed function of `base_seed` and `names`.

    >>> derive_seed(0, "weights", 3) == derive_seed(0, "weights", 3)
    True
    >>> derive_seed(0, "weights", 3) == derive_seed(0, "order", 3)
    False
    """
    text = "/".join([str(base_seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
