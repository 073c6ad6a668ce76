"""Devices by torch's names."""

import torch

from batchlab.errors import DeviceError


def check_device(device: str) -> None:
    """Raise unless torch can use `device` on this machine.

    Raises:
        DeviceError: the name is not a device's, or there is no such device.
    """
    count = torch.cuda.device_count()
    present = ["cpu", *(f"cuda:{index}" for index in range(count))]
    if count:
        present.append("cuda")
    if device not in present:
        raise DeviceError(
            f"`--device` must be a device of this machine ({', '.join(present)}), got {device!r}; use {present[-1]}."
        )
