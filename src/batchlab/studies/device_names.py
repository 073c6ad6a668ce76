"""The devices that a text names."""

from batchlab.errors import DeviceError


def device_names(text: str) -> tuple[str, ...]:
    """Return the devices, each by torch's name.

    >>> device_names("cpu"), device_names("cuda:0,2")
    (('cpu',), ('cuda:0', 'cuda:2'))

    Raises:
        DeviceError: a list of other things than the numbers of GPUs, each once.
    """
    kind, _, numbers = text.partition(":")
    if "," not in text:
        return (text,)
    indices = numbers.split(",")
    if not all(index.isdecimal() for index in indices) or len(set(indices)) < len(indices):
        raise DeviceError(f"Several GPUs are named by their numbers, each once, as in cuda:0,1, got {text!r}; do so.")
    return tuple(f"{kind}:{int(index)}" for index in indices)


def device_kind(text: str) -> str:
    """Return what trials on these devices have in common: on which of several GPUs one runs is no part of it.

    >>> device_kind("cuda:0,2")
    'cuda'
    """
    return text.partition(":")[0]
