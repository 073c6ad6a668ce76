"""The way to a Ray cluster: one that is there, or a new one on this machine."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from batchlab.errors import ExecutorError, MissingPackage

LOCAL, ANY = "local", "auto"
CONNECT_S = 10.0
# Nothing about our users is sent anywhere; where there is no GPU, which one is visible is not Ray's to decide.
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def import_ray() -> Any:
    """Return the module, imported with its reports to its makers switched off.

    Raises:
        MissingPackage: it is not installed.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise MissingPackage(
            "Trials on a Ray cluster need the package ray, which is not installed; run `pip install 'batchlab[ray]'`, "
            "here and on the machines of the cluster."
        ) from error
    return ray


@contextmanager
def connect(ray: Any, address: str | None) -> Iterator[None]:
    """Be connected to a cluster for the length of a `with`; a connection of the user's own is used, and left alone.

    Raises:
        ExecutorError: there is no cluster at the address.
    """
    if ray.is_initialized():
        yield
        return
    place = address or ANY
    if place not in (LOCAL, ANY):
        _check_reachable(place)
    options = {"include_dashboard": False} if place == LOCAL else {}
    try:
        ray.init(address=place, log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ExecutorError(
            f"A Ray cluster was expected ({place}), and none could be joined ({' '.join(str(error).split())}); start "
            "one with `ray start --head`, give its address with `--address HOST:PORT`, or use this machine alone with "
            "`--address local`."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise at once where nothing listens: Ray would try for minutes, and then end the process."""
    host, _, port = address.rpartition(":")
    try:
        if not host:
            raise ValueError("no host, or no port")
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise ExecutorError(
            f"A Ray cluster is named as HOST:PORT, auto or local, and nothing answers at {address!r} ({error}); see "
            "`ray status` on its head for the address."
        ) from error
